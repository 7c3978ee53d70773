#include "ringd/stream/membership.hpp"

#include <algorithm>

namespace stream {

bool Membership::attach(base::NodeId node, protocol::Incarnation incarnation) {
    if (is_attached(node, incarnation)) return false;
    members_[node] = {.incarnation = incarnation, .placed = {}};
    ++version_;
    return true;
}

bool Membership::detach(base::NodeId node, protocol::Incarnation incarnation) {
    if (!is_attached(node, incarnation)) return false;
    members_.erase(node);
    ++version_;
    return true;
}

Membership::Place Membership::place(base::NodeId sender, const protocol::Submit& submit) {
    const auto member = members_.find(sender);
    if (member == members_.end() || member->second.incarnation != submit.incarnation) {
        return Place::NotAttached;
    }
    std::uint64_t& placed = member->second.placed.of(submit.urgent);
    if (submit.number <= placed) return Place::Duplicate;
    if (submit.after != placed) return Place::Gap;
    placed = submit.number;
    return Place::Next;
}

void Membership::start_ring(const std::vector<base::NodeId>& nodes) {
    std::erase_if(members_, [&](const auto& member) {
        return !std::ranges::binary_search(nodes, member.first);
    });
    version_ = 0;
}

void Membership::start_ring(std::map<base::NodeId, Member> members) {
    members_ = std::move(members);
    version_ = 0;
}

bool Membership::is_attached(base::NodeId node, protocol::Incarnation incarnation) const {
    const auto member = members_.find(node);
    return member != members_.end() && member->second.incarnation == incarnation;
}

Numbers Membership::placed(base::NodeId node, protocol::Incarnation incarnation) const {
    return is_attached(node, incarnation) ? members_.at(node).placed : Numbers{};
}

std::vector<protocol::ViewMember> Membership::view() const {
    std::vector<protocol::ViewMember> view;
    view.reserve(members_.size());
    for (const auto& [node, member] : members_) {
        view.push_back({.node = node, .incarnation = member.incarnation});
    }
    return view;
}

}  // namespace stream
