// Who beats whom at the full rate in a ring of many: so many each that whoever falls silent is
// missed by several at once, whatever else the ring's size.
#pragma once

#include "ringd/totem/node_set.hpp"

namespace totem {

// Up to here all members watch each other.
inline constexpr std::size_t kMembersWatchingAll = 8;

// Whom `self` beats at the full rate: its successors in the ring at the distances 1, 2, 4 and 8. So
// each member is watched by as many, and wherever a network breaks in two, watchers are on both
// sides. Needs: self is a member.
[[nodiscard]] NodeSet near_members(const NodeSet& members, base::NodeId self);

// With whom `self` keeps a lifeline: whom it beats at the full rate, and who beats it so. Needs:
// self is a member.
[[nodiscard]] NodeSet lifeline_members(const NodeSet& members, base::NodeId self);

}  // namespace totem
