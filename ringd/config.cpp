#include "ringd/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>

#include "common/base/invariant.hpp"
#include "common/config/key_file.hpp"
#include "ringd/transport/crc32c.hpp"

namespace ringd {
namespace {

transport::SocketAddress with_port(const config::IpAddress& address, std::uint16_t port) {
    const auto result = transport::SocketAddress::from(address.with_port(port));
    INVARIANT(result.has_value());
    return *result;
}

std::vector<totem::LinkId> links_of(const config::Node& node) {
    std::vector<totem::LinkId> links;
    for (std::size_t number = 0; number < node.links.size(); ++number) {
        if (node.links[number]) links.emplace_back(static_cast<std::uint8_t>(number));
    }
    return links;
}

transport::Suite suite_of(config::Cipher cipher) {
    switch (cipher) {
        case config::Cipher::Aes256Gcm:
            return transport::Suite::Aes256Gcm;
        case config::Cipher::ChaCha20Poly1305:
            return transport::Suite::ChaCha20Poly1305;
        case config::Cipher::None:
            return transport::Suite::None;
    }
    INVARIANT(false);
    return transport::Suite::Aes256Gcm;
}

// Of administratively scoped groups (RFC 2365, RFC 7346), one for each name: a cluster whose name
// falls on the same one hears more and believes no more.
transport::SocketAddress rdma_group(const std::string& cluster,
                                    const transport::SocketAddress& own) {
    const std::uint32_t hash = transport::crc32c(0, std::as_bytes(std::span(cluster)));
    const std::string text = own.is_ipv6()
                                 ? fmt::format("ff05::6861:6c6f:{:x}", hash & 0xffffu)
                                 : fmt::format("239.192.{}.{}", hash >> 8u & 0xffu, hash & 0xffu);
    const auto group = transport::SocketAddress::parse(text, own.port());
    INVARIANT(group.has_value());
    return *group;
}

}  // namespace

totem::RingConfig ring_config(const config::ClusterConfig& config, std::size_t packet_bytes_max) {
    INVARIANT(config.local() != nullptr);
    totem::RingConfig ring;
    ring.self = *config.self;
    for (const config::Node& node : config.nodes) {
        if (node.id != ring.self) ring.peers.push_back({.node = node.id, .links = links_of(node)});
    }
    ring.packet_bytes_max = packet_bytes_max;
    ring.token_timeout = config.times.token;
    ring.token_retransmit = config.times.token_retransmit;
    ring.join_interval = config.times.join;
    ring.consensus_timeout = config.times.gather_timeout;
    ring.merge_interval = config.times.merge;
    ring.heartbeat_interval = config.times.heartbeat_interval;
    ring.silence_min = config.times.silence_min;
    ring.silence_max = config.times.silence_max;
    ring.probes_to_convict = config.times.probes_to_convict;
    ring.window_bytes = config.flow.window_bytes;
    ring.visit_bytes = config.flow.visit_bytes;
    ring.accelerated_bytes = config.flow.accelerated_bytes;
    ring.accelerated = config.flow.accelerated;
    ring.queue_bytes_max = config.flow.queue_bytes_max;
    return ring;
}

transport::NetworkConfig network_config(const config::ClusterConfig& config) {
    INVARIANT(config.local() != nullptr);
    transport::NetworkConfig network;
    network.self = *config.self;
    network.suite = suite_of(config.crypto.cipher);
    network.block_unlisted = config.block_unlisted_addresses;
    network.has_lifelines = config.system.lifelines;
    for (const config::Link& link : config.links) {
        const auto& own = config.local()->links.at(link.number);
        if (!own) continue;
        transport::LinkConfig own_link{.link = totem::LinkId{link.number},
                                       .address = with_port(own->resolved, link.port),
                                       .multicast = std::nullopt,
                                       .dscp = config.dscp,
                                       .mtu_max = config.path.fixed.value_or(0)};
        if (link.kind == config::LinkKind::Rdma) {
            own_link.kind = transport::LinkKind::Rdma;
            own_link.multicast = transport::Multicast{
                .group = link.multicast ? with_port(*link.multicast, link.port)
                                        : rdma_group(config.cluster_name, own_link.address)};
        } else if (config.transport == config::Transport::Multicast && link.multicast) {
            own_link.multicast = transport::Multicast{
                .group = with_port(*link.multicast, static_cast<std::uint16_t>(link.port + 1)),
                .ttl = link.ttl};
        }
        network.links.push_back(own_link);
    }
    for (const config::Node& node : config.nodes) {
        if (node.id == network.self) continue;
        transport::PeerConfig peer{.node = node.id, .addresses = {}};
        for (const config::Link& link : config.links) {
            const auto& address = node.links.at(link.number);
            if (!address) continue;
            peer.addresses.emplace_back(totem::LinkId{link.number},
                                        with_port(address->resolved, link.port));
        }
        network.peers.push_back(std::move(peer));
    }
    return network;
}

base::Expected<transport::ClusterKey, std::string> cluster_key(
    const config::ClusterConfig& config) {
    if (config.crypto.cipher == config::Cipher::None) {
        const auto key =
            transport::ClusterKey::public_name(std::as_bytes(std::span(config.cluster_name)));
        if (!key) return base::fail(std::string("OpenSSL has no HKDF with SHA-256"));
        return *key;
    }
    if (config.crypto.inline_key) {
        const auto key =
            transport::ClusterKey::derive(std::as_bytes(std::span(*config.crypto.inline_key)));
        if (!key) {
            return base::fail(config.file + ": totem.key: needs " +
                              std::to_string(config::kKeyBytesMin) + " to " +
                              std::to_string(config::kKeyBytesMax) + " bytes");
        }
        return *key;
    }
    const auto read = config::read_key(config.crypto.key_file);
    if (!read) return base::fail(read.error().text());
    const auto key = transport::ClusterKey::derive(read->bytes());
    if (!key) return base::fail(std::string("OpenSSL has no HKDF with SHA-256"));
    return *key;
}

}  // namespace ringd
