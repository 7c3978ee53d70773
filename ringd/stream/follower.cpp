#include "ringd/stream/follower.hpp"

#include <algorithm>
#include <iterator>

namespace stream {
namespace {

std::vector<base::NodeId> nodes_of(const std::vector<protocol::ViewMember>& members) {
    std::vector<base::NodeId> nodes;
    nodes.reserve(members.size());
    for (const protocol::ViewMember& member : members) {
        nodes.push_back(member.node);
    }
    return nodes;
}

// Nodes of members that are in `a` and, as this node and incarnation, not in `b`.
std::vector<base::NodeId> only_in(const std::vector<protocol::ViewMember>& a,
                                  const std::vector<protocol::ViewMember>& b) {
    std::vector<protocol::ViewMember> members;
    std::ranges::set_difference(a, b, std::back_inserter(members));
    return nodes_of(members);
}

}  // namespace

protocol::View Follower::next_view(base::RingId ring, std::uint64_t version,
                                   std::vector<protocol::ViewMember> members,
                                   std::vector<base::NodeId> ring_members) {
    const std::vector<protocol::ViewMember> before = viewed_.value_or(decltype(members){});
    protocol::View view;
    view.ring = ring;
    view.version = version;
    view.joined = only_in(members, before);
    const auto nodes_before = nodes_of(before);
    together_ = nodes_of(members);
    std::ranges::set_difference(nodes_before, together_, std::back_inserter(view.left));
    view.members = std::move(members);
    view.ring_members = std::move(ring_members);
    viewed_ = view.members;
    return view;
}

std::optional<protocol::Transitional> Follower::next_transitional(
    base::RingId next, const std::vector<base::NodeId>& members) {
    if (!viewed_) return std::nullopt;
    protocol::Transitional transitional;
    transitional.next = next;
    std::ranges::set_intersection(together_, members, std::back_inserter(transitional.members));
    together_ = transitional.members;
    return transitional;
}

}  // namespace stream
