// What all nodes agree on about one channel: who is on it, and up to where each one's items have
// their place. It changes with ordered items only, so it is the same at all members of a ring.
#pragma once

#include <map>
#include <vector>

#include "ringd/stream/item.hpp"

namespace stream {

class Membership {
  public:
    enum class Place : std::uint8_t {
        Next,         // The item has its place here: deliver it.
        Duplicate,    // It had its place before.
        Gap,          // One before it has not: all drop it and the sender's node sends it again.
        NotAttached,  // Of a life of the service that is not, or no more, on the channel.
    };

    struct Member {
        protocol::Incarnation incarnation{};
        Numbers placed;

        template <class A>
        void archive(A& a) {
            a(incarnation, placed);
        }
    };

    // False: it was like this before, and there is no new view.
    bool attach(base::NodeId node, protocol::Incarnation incarnation);
    bool detach(base::NodeId node, protocol::Incarnation incarnation);

    // Moves the sender's numbers on when it gives Next.
    Place place(base::NodeId sender, const protocol::Submit& submit);

    // A new ring: only these nodes' attachments count. `nodes` ascends.
    void start_ring(const std::vector<base::NodeId>& nodes);
    // A new ring whose members all said what is attached.
    void start_ring(std::map<base::NodeId, Member> members);

    [[nodiscard]] const std::map<base::NodeId, Member>& members() const { return members_; }
    [[nodiscard]] bool is_attached(base::NodeId node, protocol::Incarnation incarnation) const;
    // The Numbers of an attached node; of another: none.
    [[nodiscard]] Numbers placed(base::NodeId node, protocol::Incarnation incarnation) const;
    [[nodiscard]] std::uint64_t version() const { return version_; }
    [[nodiscard]] std::vector<protocol::ViewMember> view() const;

    template <class A>
    void archive(A& a) {
        a(members_, version_);
    }

  private:
    std::map<base::NodeId, Member> members_;
    std::uint64_t version_ = 0;
};

}  // namespace stream
