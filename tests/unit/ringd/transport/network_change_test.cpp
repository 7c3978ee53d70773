// Settings and paths that change while packets are under way.
#include <doctest/doctest.h>

#include <algorithm>

#include "ringd/transport/network_transport.hpp"
#include "tests/unit/ringd/transport/network_namespace.hpp"
#include "tests/unit/ringd/transport/transport_cluster.hpp"

using namespace transport_test;

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
    // Two sockets, the watch of the interfaces, and the lifelines.
    CHECK(cluster[0].descriptors().size() == 4);
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
