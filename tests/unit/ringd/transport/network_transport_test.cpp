// What is sent arrives: bursts, lives, audiences, links.
#include "ringd/transport/network_transport.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/ringd/transport/transport_cluster.hpp"

using namespace transport_test;

namespace {

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

TEST_CASE("a packet for one node shares a datagram with the one for all before it") {
    Cluster cluster({.nodes = 3});
    REQUIRE(cluster.shake_hands());
    const auto send = [&](std::size_t all_get, std::size_t one_gets) {
        for (Node& node : cluster.nodes) {
            node.packets.clear();
            node.datagrams.clear();
        }
        cluster[0].queue(SendToAll{.audience = SendToAll::Audience::Configured,
                                   .packet = packet_of(all_get, 1)});
        cluster[0].queue(
            totem::SendTo{.to = NodeId{2}, .link = {}, .packet = packet_of(one_gets, 2)});
        cluster[0].flush();
        CHECK(cluster.wait([&] {
            return cluster.nodes[1].packets.size() == 2 && cluster.nodes[2].packets.size() == 1;
        }));
        CHECK(same(cluster.nodes[1].packets[0].packet, packet_of(all_get, 1)));
        CHECK(same(cluster.nodes[1].packets[1].packet, packet_of(one_gets, 2)));
        CHECK(same(cluster.nodes[2].packets[0].packet, packet_of(all_get, 1)));
        return cluster.nodes[1].datagrams;
    };
    CHECK(send(200, 70) == std::vector<std::size_t>{2});
    CHECK(send(200, 200) == std::vector<std::size_t>{2});
    CHECK(send(70, 200) == std::vector<std::size_t>{1, 1});
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
