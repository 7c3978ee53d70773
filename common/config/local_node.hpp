// Which node of the nodelist this host is.
#pragma once

#include <optional>

#include "common/config/cluster_config.hpp"

namespace config {

// As Corosync looks for it: `wanted` if given; else the node whose name is the host's name, with
// its domain or without; else the node that has a link address that is the host's name or one of
// its addresses. Tells when it is none or several, and when the host has none of the node's
// addresses.
[[nodiscard]] std::optional<base::NodeId> find_local_node(const ClusterConfig& cluster,
                                                          const Host& host,
                                                          std::optional<base::NodeId> wanted,
                                                          Problems& problems);

}  // namespace config
