// What the configuration file means for quorumd's core.
#pragma once

#include "common/config/cluster_config.hpp"
#include "quorumd/core/config.hpp"

namespace quorumd {

// For the node `cluster.self`, which must be set.
[[nodiscard]] quorum::Config settings_of(const config::ClusterConfig& cluster);

// How long a node may go on as quorate without contact: as long as the ring may take to find out,
// by the last of its means, that somebody is gone, and to agree on who is left; and two seconds.
[[nodiscard]] base::Duration lease_of(const config::TotemTimes& times);

}  // namespace quorumd
