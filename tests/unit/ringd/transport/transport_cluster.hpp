// Whole transports of several nodes in this process, on real sockets of the loopback interface.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "common/os/clock.hpp"
#include "ringd/transport/network_transport.hpp"

namespace transport_test {

using base::Buffer;
using base::NodeId;
using totem::LinkId;
using totem::PacketArrived;
using totem::PacketsArrived;
using totem::PeerEvidence;
using totem::SendToAll;
using transport::ClusterKey;
using transport::DropCause;
using transport::LinkConfig;
using transport::NetworkConfig;
using transport::NetworkTransport;
using transport::PeerConfig;
using transport::SocketAddress;
using transport::Suite;

using Bytes = std::vector<std::byte>;
inline constexpr auto kPatience = std::chrono::seconds(10);

inline ClusterKey key_of(std::uint8_t fill) {
    return ClusterKey::derive(Bytes(transport::kKeyBytesMin, std::byte{fill})).value();
}

inline Buffer packet_of(std::size_t size, std::uint32_t number) {
    base::MutableBuffer packet(size);
    for (std::size_t i = 0; i < size; ++i) {
        packet.data()[i] = static_cast<std::byte>(number + i);
    }
    for (std::size_t i = 0; i < sizeof number && i < size; ++i) {
        packet.data()[i] = static_cast<std::byte>(number >> (8 * i));
    }
    return std::move(packet).freeze();
}

inline bool same(const Buffer& left, const Buffer& right) {
    return std::ranges::equal(left.bytes(), right.bytes());
}

// A port of `host` that was free a moment ago. Below those that the kernel gives away by itself,
// and others than another run of these tests takes at the same time.
inline SocketAddress free_address(const std::string& host) {
    static int next = 10'000 + ::getpid() % 200 * 100;
    for (;;) {
        const auto address = *SocketAddress::parse(host, static_cast<std::uint16_t>(next++));
        REQUIRE(next < 32'768);
        const auto socket = transport::UdpSocket::open(
            {.address = address, .multicast = std::nullopt, .dscp = 0, .buffer_bytes = 4096});
        if (socket) return address;
    }
}

struct Node {
    std::unique_ptr<NetworkTransport> transport;
    std::vector<PacketArrived> packets;
    std::vector<std::size_t> datagrams;  // How many packets came in each.
    std::vector<PeerEvidence> evidence;
    std::vector<std::size_t> sizes;  // Of PacketBytesChanged.

    void turn() {
        std::vector<totem::Event> events;
        const base::Instant now = os::now();
        if (transport->next_deadline() <= now) transport->pass_deadline(now, events);
        while (transport->receive(now, events)) {
        }
        for (totem::Event& event : events) {
            if (auto* packet = std::get_if<PacketArrived>(&event)) {
                packets.push_back(*packet);
                datagrams.push_back(1);
            }
            if (auto* several = std::get_if<PacketsArrived>(&event)) {
                CHECK(several->is_whole());
                CHECK(several->lengths.size() > 1);
                datagrams.push_back(several->lengths.size());
                std::size_t at = 0;
                for (const std::size_t length : several->lengths) {
                    packets.push_back({.from = several->from,
                                       .link = several->link,
                                       .packet = several->bytes.slice(at, length)});
                    at += length;
                }
            }
            if (auto* told = std::get_if<PeerEvidence>(&event)) evidence.push_back(*told);
            if (auto* changed = std::get_if<totem::PacketBytesChanged>(&event)) {
                sizes.push_back(changed->packet_bytes_max);
            }
        }
    }
};

struct ClusterConfig {
    std::size_t nodes = 2;
    std::vector<std::string> hosts{"127.0.0.1"};  // One a link.
    Suite suite = Suite::Aes256Gcm;
    bool multicast = false;
    std::size_t mtu_max = 1500;
    bool block_unlisted = true;
};

// Nodes 1, 2, … in this process.
struct Cluster {
    explicit Cluster(const ClusterConfig& wanted) : config(wanted) {
        for (std::size_t node = 0; node < config.nodes; ++node) {
            auto& links = addresses.emplace_back();
            for (const std::string& host : config.hosts) {
                links.push_back(free_address(host));
            }
            nodes.emplace_back();
        }
        for (std::size_t node = 0; node < config.nodes; ++node) {
            start(node);
        }
    }

    PeerConfig peer(std::size_t node) const {
        PeerConfig peer{.node = id(node), .addresses = {}};
        for (std::size_t link = 0; link < config.hosts.size(); ++link) {
            peer.addresses.emplace_back(LinkId{static_cast<std::uint8_t>(link)},
                                        addresses[node][link]);
        }
        return peer;
    }

    [[nodiscard]] NetworkConfig settings(std::size_t node) const {
        NetworkConfig made;
        made.self = id(node);
        made.suite = config.suite;
        made.block_unlisted = config.block_unlisted;
        made.socket_buffer_bytes = 1u << 20u;
        for (std::size_t link = 0; link < config.hosts.size(); ++link) {
            LinkConfig own;
            own.link = LinkId{static_cast<std::uint8_t>(link)};
            own.address = addresses[node][link];
            own.mtu_max = config.mtu_max;
            if (config.multicast) {
                own.multicast = transport::Multicast{
                    .group = *SocketAddress::parse("239.255.77.7", addresses[0][0].port()),
                    .ttl = 0};
            }
            made.links.push_back(own);
        }
        for (std::size_t other = 0; other < config.nodes; ++other) {
            if (other != node) made.peers.push_back(peer(other));
        }
        return made;
    }

    void start(std::size_t node, std::uint8_t key = 7) {
        nodes[node] = {};
        auto created = NetworkTransport::create(settings(node), key_of(key), os::now());
        REQUIRE_MESSAGE(created.has_value(), created.error().text());
        nodes[node].transport = std::move(*created);
    }

    static NodeId id(std::size_t node) { return NodeId{static_cast<std::uint32_t>(node + 1)}; }
    NetworkTransport& operator[](std::size_t node) { return *nodes[node].transport; }

    // Lets everybody work until `done`; false after kPatience.
    bool wait(const std::function<bool()>& done) {
        const base::Instant end = os::now() + kPatience;
        for (;;) {
            std::vector<pollfd> polled;
            base::Instant next = end;
            for (Node& node : nodes) {
                if (!node.transport) continue;
                node.turn();
                next = std::min(next, node.transport->next_deadline());
                for (const int fd : node.transport->descriptors()) {
                    polled.push_back({.fd = fd, .events = POLLIN, .revents = 0});
                }
            }
            if (done()) return true;
            const base::Instant now = os::now();
            if (now >= end) return false;
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - now).count();
            (void)::poll(polled.data(), polled.size(),
                         static_cast<int>(std::clamp<std::int64_t>(left, 0, 1000)));
        }
    }

    bool shake_hands() {
        return wait([&] {
            for (std::size_t node = 0; node < config.nodes; ++node) {
                for (std::size_t other = 0; other < config.nodes; ++other) {
                    if (node != other && !nodes[node].transport->is_proven(id(other))) return false;
                }
            }
            return true;
        });
    }

    ClusterConfig config;
    std::vector<std::vector<SocketAddress>> addresses;
    std::vector<Node> nodes;
};

}  // namespace transport_test
