// What must hold between values: each rule that one line of the file alone cannot break.
#pragma once

#include "common/config/cluster_config.hpp"
#include "common/config/document.hpp"

namespace config {

// Tells every rule that `cluster`, which was read from `document`, breaks. Without `is_complete`
// some address is missing for a reason that was told already: then addresses are not compared.
void check_rules(const ClusterConfig& cluster, const Section& document, bool is_complete,
                 Problems& problems);

}  // namespace config
