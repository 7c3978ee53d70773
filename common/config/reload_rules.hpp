// What a reload may change, and what takes a restart. Pure: two configurations in, a verdict out.
#pragma once

#include <string>
#include <vector>

#include "common/config/keys.hpp"

namespace config {

struct ReloadVerdict {
    KeyChanges changes;
    // Each a line that names file, line, key, and both values: with any of them the reload is
    // refused.
    std::vector<std::string> refused;
    // Keys that are taken over and do what they say after the next start of the node.
    std::vector<std::string> at_next_start;
};

// Needs: both were loaded for the same host, so that both have `self`.
[[nodiscard]] ReloadVerdict judge_reload(const Loaded& running, const Loaded& next);

// What all nodes must agree about, as lines "key value" in the order of keys: totem {} without what
// is this host's own, nodelist {}, quorum {}, and the times and windows of halo {}.
[[nodiscard]] std::vector<std::string> cluster_wide(const Loaded& loaded);

}  // namespace config
