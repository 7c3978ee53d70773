// The daemons' status as the keys and answers that Corosync's clients read.
#include "cmapd/driver/runtime_keys.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "cmapd/driver/statistics.hpp"

namespace {

using base::NodeId;
using config::KeyValue;
using nlohmann::json;

config::Loaded load() {
    auto loaded = config::load_text(
        "totem {\n cluster_name: demo\n}\nnodelist {\n"
        " node {\n  nodeid: 3\n  name: c\n  ring0_addr: 192.0.2.3\n  ring1_addr: fd00::3\n }\n"
        " node {\n  nodeid: 1\n  name: a\n  ring0_addr: 192.0.2.1\n  ring1_addr: fd00::1\n }\n"
        " node {\n  nodeid: 2\n  name: b\n  ring0_addr: 192.0.2.2\n  ring1_addr: fd00::2\n }\n}\n",
        "f",
        {.node_id = {},
         .host = config::Host{.name = "a",
                              .addresses = {*config::IpAddress::parse("192.0.2.1"),
                                            *config::IpAddress::parse("fd00::1")}}});
    if (!loaded) MESSAGE(config::problems_text(loaded.error()));
    REQUIRE(loaded);
    return std::move(*loaded);
}

json ringd_status() {
    const auto link = [](int number, bool up) {
        return json{{"link", number}, {"up", up}, {"rtt_us", 120 + number}};
    };
    return {{"node", 1},
            {"packet_bytes", 1380},
            {"token", {{"rotation_mean_us", 2500}}},
            {"peers",
             {{{"node", 2}, {"heard", true}, {"links", {link(0, true), link(1, false)}}},
              {{"node", 3}, {"heard", false}, {"links", {link(0, false), link(1, false)}}}}}};
}

}  // namespace

TEST_CASE("the ring's status has a character a node, in the order of the file") {
    const auto loaded = load();
    const auto status =
        cmapd::ring_status_of(ringd_status(), loaded.cluster, cmapd::file_order(loaded));
    REQUIRE(status.links.size() == 2);
    CHECK(status.links[0].address == "192.0.2.1");
    CHECK(status.links[0].status == "1n3");
    CHECK(status.links[1].address == "fd00::1");
    CHECK(status.links[1].status == "1n1");
}

TEST_CASE("a node's status has its links with both addresses") {
    const auto loaded = load();
    const auto peer = cmapd::node_status_of(ringd_status(), loaded.cluster, NodeId{2});
    CHECK(peer.is_reachable);
    CHECK(peer.links[0].is_connected);
    CHECK(peer.links[0].mtu == 1380);
    CHECK(peer.links[0].peer_address == "192.0.2.2");
    CHECK(peer.links[1].is_enabled);
    CHECK_FALSE(peer.links[1].is_connected);
    CHECK_FALSE(peer.links[2].is_enabled);
    CHECK_FALSE(cmapd::node_status_of(ringd_status(), loaded.cluster, NodeId{3}).is_reachable);
    CHECK(cmapd::node_status_of(ringd_status(), loaded.cluster, NodeId{1}).is_reachable);
}

TEST_CASE("members join and leave with the views, and only what changes is told") {
    const auto loaded = load();
    cmapd::Members members;
    const auto first = members.view({NodeId{1}, NodeId{2}}, loaded.cluster);
    CHECK(first.at("runtime.members.2.status") == KeyValue(std::string("joined")));
    CHECK(first.at("runtime.members.2.join_count") == KeyValue(std::uint32_t{1}));
    CHECK(first.at("runtime.members.2.ip") ==
          KeyValue(std::string("r(0) ip(192.0.2.2) r(1) ip(fd00::2) ")));
    CHECK(first.at("runtime.members.2.config_version") == KeyValue(std::uint64_t{0}));
    CHECK(members.view({NodeId{1}, NodeId{2}}, loaded.cluster).empty());
    const auto left = members.view({NodeId{1}}, loaded.cluster);
    CHECK(left == config::Keys{{"runtime.members.2.status", std::string("left")}});
    const auto again = members.view({NodeId{1}, NodeId{2}}, loaded.cluster);
    CHECK(again == config::Keys{{"runtime.members.2.status", std::string("joined")},
                                {"runtime.members.2.join_count", std::uint32_t{2}}});
    CHECK(members.greeted(NodeId{2}, 7) ==
          config::Keys{{"runtime.members.2.config_version", std::uint64_t{7}}});
    CHECK(members.greeted(NodeId{2}, 7).empty());
}

TEST_CASE("members go on counting after a restart, and what is none of theirs is left out") {
    const auto loaded = load();
    cmapd::Members members;
    namespace api = protocol::cmap;
    members.restore("runtime.members.2.join_count", api::u32(3));
    members.restore("runtime.members.2.status", api::text("left"));
    members.restore("runtime.members.2.ip", api::text("r(0) ip(192.0.2.2) r(1) ip(fd00::2) "));
    members.restore("runtime.members.x.join_count", api::u32(9));
    members.restore("totem.token", api::u32(9));
    const auto changed = members.view({NodeId{2}}, loaded.cluster);
    CHECK(changed.size() == 2);
    CHECK(changed.at("runtime.members.2.join_count") == KeyValue{std::uint32_t{4}});
    CHECK(changed.at("runtime.members.2.status") == KeyValue{std::string("joined")});
}

TEST_CASE("keys of quorum have Corosync's names and types, those of options where they are set") {
    json status{{"node", 2},
                {"members", {1, 2, 5}},
                {"waits_for_all", true},
                {"options",
                 {{"two_node", true},
                  {"wait_for_all", false},
                  {"tie_breaker", nullptr},
                  {"expected_votes", 3}}}};
    auto keys = cmapd::vote_keys(status);
    CHECK(keys.size() == 5);
    CHECK(keys.at("runtime.votequorum.this_node_id") == KeyValue{std::uint32_t{2}});
    CHECK(keys.at("runtime.votequorum.lowest_node_id") == KeyValue{std::uint32_t{1}});
    CHECK(keys.at("runtime.votequorum.highest_node_id") == KeyValue{std::uint32_t{5}});
    CHECK(keys.at("runtime.votequorum.two_node") == KeyValue{std::uint8_t{1}});
    CHECK(keys.at("runtime.votequorum.ev_barrier") == KeyValue{std::uint32_t{3}});
    status["options"]["wait_for_all"] = true;
    status["options"]["tie_breaker"] = "highest";
    keys = cmapd::vote_keys(status);
    CHECK(keys.at("runtime.votequorum.wait_for_all_status") == KeyValue{std::uint8_t{1}});
    CHECK(keys.at("runtime.votequorum.atb_type") == KeyValue{std::uint32_t{2}});
    CHECK(cmapd::vote_keys(json()).empty());
}

TEST_CASE("statistics have Corosync's names and types, and none where a daemon says nothing") {
    CHECK(cmapd::stats_of({}).empty());
    CHECK(cmapd::stats_of({.ringd_status = json::array({1}),
                           .ringd_counters = json("x"),
                           .cpgd_status = json(nullptr)})
              .empty());
    const json counters{{"ring",
                         {{"tokens_visited", 10},
                          {"tokens_retransmitted", 2},
                          {"messages_sent", 5},
                          {"packets_received", {{"data", 7}, {"token", 9}}},
                          {"drops", {{"malformed", 1}, {"duplicate", 2}}},
                          {"gathers", {{"started", 1}, {"token lost", 4}}}}}};
    const json cpgd{{"sessions",
                     {{{"pid", 1}, {"connected", true}, {"events", 3}, {"queued_bytes", 4}},
                      {{"pid", 2}, {"connected", false}}}}};
    const auto keys = cmapd::stats_of(
        {.ringd_status = ringd_status(), .ringd_counters = counters, .cpgd_status = cpgd});
    CHECK(keys.at("stats.srp.orf_token_tx") == KeyValue(std::uint64_t{12}));
    CHECK(keys.at("stats.srp.mcast_rx") == KeyValue(std::uint64_t{7}));
    CHECK(keys.at("stats.srp.rx_msg_dropped") == KeyValue(std::uint64_t{3}));
    CHECK(keys.at("stats.srp.gather_entered") == KeyValue(std::uint64_t{5}));
    CHECK(keys.at("stats.srp.mtt_rx_token") == KeyValue(std::uint32_t{2}));
    CHECK(keys.at("stats.knet.node2.link0.connected") == KeyValue(std::uint8_t{1}));
    CHECK(keys.at("stats.knet.node2.link1.connected") == KeyValue(std::uint8_t{0}));
    CHECK(keys.at("stats.knet.node1.link0.connected") == KeyValue(std::uint8_t{1}));
    CHECK(keys.at("stats.ipcs.service2.1.0x1.dispatched") == KeyValue(std::uint64_t{3}));
    CHECK(keys.count("stats.ipcs.service2.2.0x1.dispatched") == 0);
}

TEST_CASE("a session's key depends on its own process only, and has the name of who lives") {
    constexpr std::uint32_t kNobody = 1u << 30;  // More than the kernel gives.
    const auto self = static_cast<std::uint32_t>(::getpid());
    const auto session = [](std::uint32_t pid, std::uint32_t kernel_pid) {
        return json{{"pid", pid}, {"kernel_pid", kernel_pid}, {"connected", true}};
    };
    const json cpgd{
        {"sessions", {session(9, kNobody), session(3, self), session(4, self), session(3, self)}}};
    const auto keys =
        cmapd::stats_of({.ringd_status = nullptr, .ringd_counters = nullptr, .cpgd_status = cpgd});
    for (const char* known : {"service2.3.0x1", "service2.3.0x2", "service2.4.0x1"}) {
        const auto name = keys.at(std::string("stats.ipcs.") + known + ".procname");
        CHECK(std::get<std::string>(name).starts_with("cmapd_driver"));
    }
    CHECK(keys.size() == 15);
}
