// Who follows a channel's events on this node, a service or an observer: what it was told last, so
// that each View says what changed for it.
#pragma once

#include <optional>
#include <vector>

#include "common/protocol/ring_api.hpp"

namespace protocol {

template <class A>
void archive(A& a, ViewMember& member) {
    a(member.node, member.incarnation);
}

}  // namespace protocol

namespace stream {

class Follower {
  public:
    // The view of these members, with what left and joined since the last one.
    [[nodiscard]] protocol::View next_view(base::RingId ring, std::uint64_t version,
                                           std::vector<protocol::ViewMember> members,
                                           std::vector<base::NodeId> ring_members);

    // Of those that it was with until now; nothing before its first View. `members` ascends.
    [[nodiscard]] std::optional<protocol::Transitional> next_transitional(
        base::RingId next, const std::vector<base::NodeId>& members);

    template <class A>
    void archive(A& a) {
        a(viewed_, together_);
    }

  private:
    std::optional<std::vector<protocol::ViewMember>> viewed_;  // The last View's members.
    std::vector<base::NodeId> together_;  // Those of them that the last Transitional left.
};

}  // namespace stream
