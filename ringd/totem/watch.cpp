#include "ringd/totem/watch.hpp"

#include "common/base/invariant.hpp"

namespace totem {
namespace {

constexpr std::size_t kDistances[] = {1, 2, 4, 8};

std::size_t place_of(const NodeSet& members, base::NodeId self) {
    INVARIANT(members.contains(self));
    return static_cast<std::size_t>(std::lower_bound(members.begin(), members.end(), self) -
                                    members.begin());
}

}  // namespace

NodeSet near_members(const NodeSet& members, base::NodeId self) {
    const std::size_t place = place_of(members, self);
    if (members.size() <= kMembersWatchingAll) return members.without(self);
    NodeSet near;
    for (const std::size_t distance : kDistances)
        near.insert(members[(place + distance) % members.size()]);
    near.erase(self);
    return near;
}

NodeSet lifeline_members(const NodeSet& members, base::NodeId self) {
    NodeSet both = near_members(members, self);
    if (members.size() <= kMembersWatchingAll) return both;
    const std::size_t place = place_of(members, self);
    for (const std::size_t distance : kDistances)
        both.insert(members[(place + members.size() - distance) % members.size()]);
    return both;
}

}  // namespace totem
