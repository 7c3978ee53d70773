// What the configuration file says, in the words of the core, the transport and the stream.
#pragma once

#include "common/base/result.hpp"
#include "common/config/cluster_config.hpp"
#include "ringd/stream_server/stream_server.hpp"
#include "ringd/totem/ring_config.hpp"
#include "ringd/transport/network_transport.hpp"

namespace ringd {

// Needs: config.self is set and one of config.nodes.
[[nodiscard]] totem::RingConfig ring_config(const config::ClusterConfig& config,
                                            std::size_t packet_bytes_max);
[[nodiscard]] transport::NetworkConfig network_config(const config::ClusterConfig& config);

// The key that seals packets: of the key file, or made of the cluster's name where encryption is
// switched off. The error names the file and what is wrong with it.
[[nodiscard]] base::Expected<transport::ClusterKey, std::string> cluster_key(
    const config::ClusterConfig& config);

}  // namespace ringd
