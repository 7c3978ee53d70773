// What a transport tells of peers and links, and whom it does not believe.
#include <doctest/doctest.h>

#include <algorithm>

#include "ringd/transport/network_transport.hpp"
#include "tests/unit/ringd/transport/network_namespace.hpp"
#include "tests/unit/ringd/transport/transport_cluster.hpp"

using namespace transport_test;

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

TEST_CASE("an error that its descriptor told of is read although packets come") {
    Cluster cluster({.nodes = 3});
    REQUIRE(cluster.shake_hands());
    cluster.nodes[2] = {};
    const int descriptor = cluster[0].descriptors().front();
    const auto poll_for = [&](short what) {
        pollfd polled{.fd = descriptor, .events = POLLIN, .revents = 0};
        const base::Instant end = os::now() + kPatience;
        while ((polled.revents & what) != what && os::now() < end)
            (void)::poll(&polled, 1, 1000);
        return (polled.revents & what) == what;
    };
    const auto send = [&](std::size_t from, std::uint32_t to) {
        cluster[from].queue(
            totem::SendTo{.to = NodeId{to}, .link = {}, .packet = packet_of(100, 1)});
        cluster[from].flush();
    };
    const auto receive = [&](bool is_told) {
        std::vector<totem::Event> events;
        if (is_told) cluster[0].woken(descriptor, true);
        (void)cluster[0].receive(os::now(), events);
        return events;
    };
    const auto is_refused = [](const totem::Event& event) {
        const auto* told = std::get_if<PeerEvidence>(&event);
        return told != nullptr && told->kind == PeerEvidence::Kind::PortUnreachable;
    };
    send(0, 3);
    REQUIRE(poll_for(POLLERR));
    send(0, 2);  // Is told of the error, too, so that the next read is not.
    send(1, 1);
    REQUIRE(poll_for(POLLIN | POLLERR));
    const auto packets = receive(false);
    CHECK(packets.size() == 1);
    CHECK(std::ranges::none_of(packets, is_refused));
    send(1, 1);
    REQUIRE(poll_for(POLLIN | POLLERR));
    const auto all = receive(true);
    CHECK(all.size() == 2);
    CHECK(std::ranges::count_if(all, is_refused) == 1);
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
