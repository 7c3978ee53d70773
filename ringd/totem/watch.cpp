#include "ringd/totem/watch.hpp"

#include "common/base/invariant.hpp"

namespace totem {

NodeSet near_members(const NodeSet& members, base::NodeId self) {
    INVARIANT(members.contains(self));
    if (members.size() <= kMembersWatchingAll) return members.without(self);
    const auto place = static_cast<std::size_t>(
        std::lower_bound(members.begin(), members.end(), self) - members.begin());
    NodeSet near;
    for (const std::size_t distance : {1u, 2u, 4u, 8u})
        near.insert(members[(place + distance) % members.size()]);
    near.erase(self);
    return near;
}

}  // namespace totem
