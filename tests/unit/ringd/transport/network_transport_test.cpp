// Whole transports on real sockets of the loopback interface.
#include "ringd/transport/network_transport.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <variant>

#include "common/os/clock.hpp"
#include "tests/unit/ringd/transport/network_namespace.hpp"

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

namespace {

using Bytes = std::vector<std::byte>;
constexpr auto kPatience = std::chrono::seconds(10);

ClusterKey key_of(std::uint8_t fill) {
    return ClusterKey::derive(Bytes(transport::kKeyBytesMin, std::byte{fill})).value();
}

Buffer packet_of(std::size_t size, std::uint32_t number) {
    base::MutableBuffer packet(size);
    for (std::size_t i = 0; i < size; ++i) {
        packet.data()[i] = static_cast<std::byte>(number + i);
    }
    for (std::size_t i = 0; i < sizeof number && i < size; ++i) {
        packet.data()[i] = static_cast<std::byte>(number >> (8 * i));
    }
    return std::move(packet).freeze();
}

bool same(const Buffer& left, const Buffer& right) {
    return std::ranges::equal(left.bytes(), right.bytes());
}

// A port of `host` that was free a moment ago. Below those that the kernel gives away by itself,
// and others than another run of these tests takes at the same time.
SocketAddress free_address(const std::string& host) {
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
    std::vector<PeerEvidence> evidence;
    std::vector<std::size_t> sizes;  // Of PacketBytesChanged.

    void turn() {
        std::vector<totem::Event> events;
        const base::Instant now = os::now();
        if (transport->next_deadline() <= now) transport->pass_deadline(now, events);
        while (transport->receive(now, events)) {
        }
        for (totem::Event& event : events) {
            if (auto* packet = std::get_if<PacketArrived>(&event)) packets.push_back(*packet);
            if (auto* several = std::get_if<PacketsArrived>(&event)) {
                CHECK(several->is_whole());
                CHECK(several->lengths.size() > 1);
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

bool kernel_has_ipv6() {
    return transport::UdpSocket::open({.address = *SocketAddress::parse("::1", 0),
                                       .multicast = std::nullopt,
                                       .dscp = 0,
                                       .buffer_bytes = 4096})
        .has_value();
}

void send_burst_of_all_sizes(Cluster& cluster) {
    // Data of one size, of nearly one size, small ones, and a token between them.
    std::vector<Buffer> sent;
    for (std::uint32_t i = 0; i < 400; ++i) {
        const std::size_t size = i % 7 == 0 ? 64 : i % 3 == 0 ? 1290 : 1300;
        sent.push_back(packet_of(i == 200 ? 0 : size, i));
    }
    for (const Buffer& packet : sent) {
        cluster[0].queue(SendToAll{.audience = SendToAll::Audience::Configured, .packet = packet});
    }
    cluster[0].queue(totem::SendTo{.to = NodeId{2}, .link = {}, .packet = packet_of(200, 9999)});
    cluster[0].flush();
    const std::size_t nodes = cluster.config.nodes;
    CHECK(cluster.wait([&] {
        for (std::size_t node = 1; node < nodes; ++node) {
            if (cluster.nodes[node].packets.size() < sent.size() + (node == 1)) return false;
        }
        return true;
    }));
    for (std::size_t node = 1; node < nodes; ++node) {
        const auto& got = cluster.nodes[node].packets;
        REQUIRE(got.size() == sent.size() + (node == 1));
        for (std::size_t i = 0; i < sent.size(); ++i) {
            CAPTURE(i);
            CHECK(same(got[i].packet, sent[i]));
            CHECK(got[i].from == NodeId{1});
        }
    }
    CHECK(cluster.nodes[0].packets.empty());
}

}  // namespace

TEST_CASE("a burst arrives in order and whole at all nodes, with every suite") {
    for (const Suite suite : {Suite::None, Suite::Aes256Gcm, Suite::ChaCha20Poly1305}) {
        Cluster cluster({.nodes = 3, .suite = suite});
        REQUIRE(cluster.shake_hands());
        send_burst_of_all_sizes(cluster);
        // Far fewer system calls than packets: 801 of them to two receivers each.
        CHECK(cluster[0].link_counters(LinkId{0}).system_calls_sent < 60);
    }
}

TEST_CASE("the same over IPv6") {
    if (!kernel_has_ipv6()) {
        MESSAGE("no IPv6 here: skipped");
        return;
    }
    Cluster cluster({.nodes = 2, .hosts = {"::1"}});
    REQUIRE(cluster.shake_hands());
    send_burst_of_all_sizes(cluster);
    CHECK(cluster[0].packet_bytes_max() == 1500 - 48 - transport::kOverheadBytes);
}

TEST_CASE("the same over IP multicast, where each packet is sent once") {
    Cluster cluster({.nodes = 3, .multicast = true});
    REQUIRE(cluster.shake_hands());
    const auto before = cluster[0].link_counters(LinkId{0}).packets_sent;
    for (std::uint32_t i = 0; i < 50; ++i) {
        cluster[0].queue(
            SendToAll{.audience = SendToAll::Audience::Configured, .packet = packet_of(1000, i)});
    }
    cluster[0].flush();
    CHECK(cluster.wait([&] {
        return cluster.nodes[1].packets.size() == 50 && cluster.nodes[2].packets.size() == 50;
    }));
    // Our own multicast comes back and is told apart.
    CHECK(cluster.wait(
        [&] { return cluster[0].link_counters(LinkId{0}).drops.of(DropCause::FromSelf) == 50; }));
    CHECK(cluster[0].link_counters(LinkId{0}).packets_sent - before < 60);
    CHECK(cluster.nodes[0].packets.empty());
}

TEST_CASE("what is sent before the handshake is done is not lost") {
    Cluster cluster({.nodes = 2});
    cluster[0].queue(
        SendToAll{.audience = SendToAll::Audience::Configured, .packet = packet_of(100, 1)});
    cluster[0].flush();
    CHECK(cluster.wait([&] { return cluster.nodes[1].packets.size() == 1; }));
    CHECK(same(cluster.nodes[1].packets.front().packet, packet_of(100, 1)));
}

TEST_CASE("a restarted node is heard again at once, and its peers count its lives") {
    Cluster cluster({.nodes = 2});
    for (std::uint32_t life = 1; life <= 5; ++life) {
        REQUIRE(cluster.shake_hands());
        cluster[1].queue(totem::SendTo{.to = NodeId{1}, .link = {}, .packet = packet_of(99, life)});
        cluster[1].flush();
        CHECK(cluster.wait([&] { return cluster.nodes[0].packets.size() == life; }));
        CHECK(cluster[0].peer_counters(NodeId{2}).lives_proven == life);
        cluster.nodes[1] = {};
        cluster.start(1);
    }
}

TEST_CASE("the audience is the members that were named, and no other") {
    Cluster cluster({.nodes = 3});
    REQUIRE(cluster.shake_hands());
    cluster[0].set_audience({.members = {NodeId{3}}});
    cluster[0].queue(
        SendToAll{.audience = SendToAll::Audience::Members, .packet = packet_of(10, 1)});
    cluster[0].set_audience({.members = {NodeId{2}, NodeId{3}}});
    cluster[0].queue(
        SendToAll{.audience = SendToAll::Audience::Members, .packet = packet_of(10, 2)});
    cluster[0].flush();
    CHECK(cluster.wait([&] {
        return cluster.nodes[1].packets.size() == 1 && cluster.nodes[2].packets.size() == 2;
    }));
    CHECK(same(cluster.nodes[1].packets.front().packet, packet_of(10, 2)));
}

TEST_CASE("with two links a packet arrives once, and on the link that was chosen") {
    Cluster cluster({.nodes = 2, .hosts = {"127.0.0.1", "127.0.0.2"}});
    REQUIRE(cluster.shake_hands());
    const auto send = [&](std::uint32_t number, std::optional<LinkId> link) {
        cluster[0].queue(
            totem::SendTo{.to = NodeId{2}, .link = link, .packet = packet_of(50, number)});
        cluster[0].flush();
        CHECK(cluster.wait([&] { return cluster.nodes[1].packets.size() == number; }));
    };
    const auto on_link = [&](std::uint8_t link) {
        return cluster[1].link_counters(LinkId{link}).packets_received;
    };
    // No link chosen: on both, and the second copy is a replay.
    send(1, std::nullopt);
    CHECK(cluster.wait(
        [&] { return cluster[1].peer_counters(NodeId{1}).drops.of(DropCause::Replayed) > 0; }));
    cluster[0].use_link({.peer = NodeId{2}, .link = LinkId{1}});
    send(2, std::nullopt);
    CHECK(cluster.nodes[1].packets.back().link == LinkId{1});
    send(3, LinkId{0});
    CHECK(cluster.nodes[1].packets.back().link == LinkId{0});
    CHECK(on_link(0) > 0);
    CHECK(on_link(1) > 0);
}

TEST_CASE("a port where nobody listens is evidence about that peer on that link") {
    Cluster cluster({.nodes = 3});
    REQUIRE(cluster.shake_hands());
    cluster.nodes[2] = {};
    for (int i = 0; i < 20; ++i) {
        cluster[0].queue(
            SendToAll{.audience = SendToAll::Audience::Configured, .packet = packet_of(100, 1)});
        cluster[0].flush();
    }
    CHECK(cluster.wait([&] { return !cluster.nodes[0].evidence.empty(); }));
    CHECK(cluster.nodes[0].evidence.front().peer == NodeId{3});
    CHECK(cluster.nodes[0].evidence.front().link == LinkId{0});
    CHECK(cluster.nodes[0].evidence.front().kind == PeerEvidence::Kind::PortUnreachable);
    // The error is told at a later call, which must not cost the packets of that call.
    CHECK(cluster.wait([&] { return cluster.nodes[1].packets.size() == 20; }));
    CHECK(cluster[0].link_counters(LinkId{0}).not_sent == 0);
}

TEST_CASE("an obituary is evidence, and comes from whoever holds its bytes") {
    Cluster cluster({.nodes = 3});
    REQUIRE(cluster.shake_hands());
    const auto bytes = transport::encode_obituary(cluster[1].make_obituary());
    cluster.nodes[1] = {};
    const auto obituary = transport::decode_obituary(bytes);
    REQUIRE(obituary.has_value());
    CHECK(obituary->paths.size() == 2);
    CHECK(transport::send_obituary(*obituary, 3) == 6);
    const auto told = [&](std::size_t node) {
        return std::ranges::count_if(cluster.nodes[node].evidence, [](const PeerEvidence& seen) {
            return seen.kind == PeerEvidence::Kind::Obituary && seen.peer == NodeId{2};
        });
    };
    CHECK(cluster.wait([&] {
        return cluster[0].peer_counters(NodeId{2}).drops.of(DropCause::StaleIncarnation) >= 2 &&
               cluster[2].peer_counters(NodeId{2}).drops.of(DropCause::StaleIncarnation) >= 2;
    }));
    CHECK(told(0) == 1);
    CHECK(told(2) == 1);
}

TEST_CASE("a node of another cluster and noise are counted and change nothing") {
    Cluster cluster({.nodes = 3});
    REQUIRE(cluster.shake_hands());
    cluster.nodes[2] = {};
    cluster.start(2, 8);
    auto noise = transport::UdpSocket::open({.address = *SocketAddress::parse("127.0.0.1", 0),
                                             .multicast = std::nullopt,
                                             .dscp = 0,
                                             .buffer_bytes = 4096});
    REQUIRE(noise.has_value());
    const Bytes garbage(300, std::byte{0x5a});
    const transport::Burst burst{
        .to = &cluster.addresses[0][0], .bytes = garbage, .segment_bytes = 100};
    noise->send(std::span(&burst, 1));
    CHECK(cluster.wait([&] {
        const auto drops = cluster[0].link_counters(LinkId{0}).drops;
        return drops.of(DropCause::ForeignCluster) > 0 && drops.of(DropCause::NotOurs) == 3;
    }));
    CHECK(cluster.nodes[0].packets.empty());
    CHECK(cluster[0].is_proven(NodeId{2}));
    CHECK_FALSE(cluster[2].is_proven(NodeId{1}));
}

TEST_CASE("packets from an address that is not the sender's are refused, unless allowed") {
    for (const bool block : {true, false}) {
        Cluster cluster({.nodes = 2, .block_unlisted = block});
        REQUIRE(cluster.shake_hands());
        // Node 1 is told another address of node 2 than the one node 2 sends from.
        PeerConfig moved = cluster.peer(1);
        moved.addresses.front().second =
            SocketAddress::parse("127.0.0.9", cluster.addresses[1][0].port()).value();
        cluster[0].configure_peers(os::now(), std::span(&moved, 1));
        cluster[1].queue(totem::SendTo{.to = NodeId{1}, .link = {}, .packet = packet_of(10, 1)});
        cluster[1].flush();
        CHECK(cluster.wait([&] {
            return block
                       ? cluster[0].link_counters(LinkId{0}).drops.of(DropCause::UnlistedAddress) >
                             0
                       : cluster.nodes[0].packets.size() == 1;
        }));
        if (block) CHECK(cluster.nodes[0].packets.empty());
    }
}

TEST_CASE("addresses, links, key and cipher change under way, without a handshake") {
    Cluster cluster({.nodes = 3});
    REQUIRE(cluster.shake_hands());
    // Another port for all, and a second link.
    cluster.config.hosts.emplace_back("127.0.0.1");
    cluster.config.suite = Suite::ChaCha20Poly1305;
    for (auto& links : cluster.addresses) {
        links = {free_address("127.0.0.1"), free_address("127.0.0.1")};
    }
    for (std::size_t node = 0; node < 3; ++node) {
        REQUIRE(cluster[node].prepare(cluster.settings(node), key_of(9)));
    }
    // Nothing has changed yet.
    cluster[0].queue(totem::SendTo{.to = NodeId{2}, .link = {}, .packet = packet_of(10, 1)});
    cluster[0].flush();
    CHECK(cluster.wait([&] { return cluster.nodes[1].packets.size() == 1; }));

    std::vector<totem::Event> events;
    cluster[0].commit(os::now(), events);
    cluster[1].commit(os::now(), events);
    CHECK(cluster[0].descriptors().size() == 3);  // Two sockets, and the watch of the interfaces.
    for (const LinkId link : {LinkId{0}, LinkId{1}}) {
        cluster[0].queue(totem::SendTo{.to = NodeId{2}, .link = link, .packet = packet_of(10, 2)});
    }
    cluster[0].flush();
    CHECK(cluster.wait([&] { return cluster.nodes[1].packets.size() == 3; }));
    cluster[2].commit(os::now(), events);
    cluster[2].queue(totem::SendTo{.to = NodeId{1}, .link = {}, .packet = packet_of(10, 3)});
    cluster[2].flush();
    CHECK(cluster.wait([&] { return !cluster.nodes[0].packets.empty(); }));
    for (std::size_t node = 0; node < 3; ++node) {
        CHECK(cluster[node].peer_counters(Cluster::id((node + 1) % 3)).lives_proven == 1);
    }
}

TEST_CASE("a reload that can't have its address fails, and what is there goes on") {
    Cluster cluster({.nodes = 2});
    REQUIRE(cluster.shake_hands());
    auto moved = cluster.settings(0);
    moved.links[0].address = cluster.addresses[1][0];  // Taken.
    const auto refused = cluster[0].prepare(moved, key_of(9));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text().find("Address already in use") != std::string::npos);
    cluster[1].queue(totem::SendTo{.to = NodeId{1}, .link = {}, .packet = packet_of(10, 1)});
    cluster[1].flush();
    CHECK(cluster.wait([&] { return cluster.nodes[0].packets.size() == 1; }));
}

TEST_CASE("the largest packet follows the path and the limit") {
    Cluster cluster({.nodes = 2, .mtu_max = 0});
    REQUIRE(cluster.shake_hands());
    // The loopback interface carries 64 KiB; without a limit jumbo frames are the most.
    CHECK(cluster[0].packet_bytes_max() == 9000 - 28 - transport::kOverheadBytes);
    const std::size_t largest = cluster[0].packet_bytes_max();
    cluster[0].queue(totem::SendTo{.to = NodeId{2}, .link = {}, .packet = packet_of(largest, 1)});
    cluster[0].flush();
    CHECK(cluster.wait([&] { return cluster.nodes[1].packets.size() == 1; }));

    Cluster limited({.nodes = 2, .mtu_max = 1400});
    CHECK(limited[0].packet_bytes_max() == 1400 - 28 - transport::kOverheadBytes);
}

TEST_CASE("a narrower path is told to the core, and so is a wider one") {
    const bool ran = in_network_namespace([](LoopbackInterface& loopback) {
        CHECK(loopback.set_mtu(1500));
        Cluster cluster({.nodes = 2, .mtu_max = 0});
        CHECK(cluster.shake_hands());
        const std::size_t overhead = 28 + transport::kOverheadBytes;
        CHECK(cluster[0].packet_bytes_max() == 1500 - overhead);
        CHECK(loopback.set_mtu(1400));
        CHECK(cluster.wait(
            [&] { return cluster.nodes[0].sizes == std::vector<std::size_t>{1400 - overhead}; }));
        CHECK(loopback.set_mtu(4000));
        CHECK(cluster.wait([&] {
            return cluster.nodes[0].sizes ==
                   std::vector<std::size_t>{1400 - overhead, 4000 - overhead};
        }));
    });
    if (!ran) MESSAGE("no right to make a network namespace: skipped");
}

TEST_CASE("an interface that goes down and comes back is evidence about the link") {
    const bool ran = in_network_namespace([](LoopbackInterface& loopback) {
        Cluster cluster({.nodes = 2});
        CHECK(cluster.shake_hands());
        const auto last = [&](PeerEvidence::Kind kind) {
            const auto& seen = cluster.nodes[0].evidence;
            return !seen.empty() && seen.back().kind == kind && seen.back().peer == base::kNoNode &&
                   seen.back().link == LinkId{0};
        };
        CHECK(loopback.set_up(false));
        CHECK(cluster.wait([&] { return last(PeerEvidence::Kind::LinkLost); }));
        CHECK_FALSE(cluster[0].link_counters(LinkId{0}).is_usable);
        CHECK(loopback.set_up(true));
        CHECK(cluster.wait([&] { return last(PeerEvidence::Kind::LinkBack); }));
        cluster[0].queue(totem::SendTo{.to = NodeId{2}, .link = {}, .packet = packet_of(10, 1)});
        cluster[0].flush();
        CHECK(cluster.wait([&] { return cluster.nodes[1].packets.size() == 1; }));
        CHECK(cluster[0].link_counters(LinkId{0}).changes == 2);
    });
    if (!ran) MESSAGE("no right to make a network namespace: skipped");
}

TEST_CASE("a link without its address is told at the start") {
    NetworkConfig config;
    config.self = NodeId{1};
    LinkConfig link;
    link.address = SocketAddress::parse("192.0.2.77", 5405).value();
    config.links.push_back(link);
    auto made = NetworkTransport::create(config, key_of(7), os::now());
    REQUIRE(made.has_value());
    std::vector<totem::Event> events;
    (*made)->pass_deadline(os::now(), events);
    REQUIRE(events.size() == 1);
    CHECK(std::get<PeerEvidence>(events.front()).kind == PeerEvidence::Kind::LinkLost);
}
