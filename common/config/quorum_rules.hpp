// What the options of quorum {} say, as rules that can be applied.
#pragma once

#include "common/config/cluster_config.hpp"
#include "common/quorum/votes.hpp"

namespace config {

[[nodiscard]] quorum::Rules rules_of(const Quorum& configured);

}  // namespace config
