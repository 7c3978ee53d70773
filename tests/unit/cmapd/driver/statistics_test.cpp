// What the daemons count as Corosync's statistics, and what stats.clear. sets back.
#include "cmapd/driver/statistics.hpp"

#include <doctest/doctest.h>

namespace {

using config::KeyValue;
using nlohmann::json;
namespace api = protocol::cmap;

json peer(int node, json links) {
    return {{"node", node},          {"best_link", 1},     {"links", std::move(links)},
            {"packets_sent", 10},    {"bytes_sent", 1000}, {"packets_received", 20},
            {"bytes_received", 2000}};
}

json link(int number) {
    return {{"link", number}, {"up", true}, {"rtt_us", 100}};
}

config::Keys keys_of(const json& ringd_status) {
    return cmapd::stats_of(
        {.ringd_status = ringd_status, .ringd_counters = nullptr, .cpgd_status = nullptr});
}

json pauses(std::initializer_list<std::pair<std::uint64_t, std::uint64_t>> list) {
    json recent = json::array();
    for (const auto& [at_ms, ms] : list) {
        recent.push_back({{"at_ms", at_ms}, {"ms", ms}});
    }
    return {{"process", {{"recent_pauses", std::move(recent)}}}};
}

}  // namespace

TEST_CASE("packets of a node stand at the link that is in use") {
    const auto keys = keys_of({{"node", 1},
                               {"packet_bytes", 1000},
                               {"queue_bytes", 2500},
                               {"queue_bytes_max", 10'000},
                               {"peers", {peer(2, {link(0)}), peer(3, {link(0), link(1)})}}});
    CHECK(keys.at("stats.knet.node2.link0.tx_total_packets") == KeyValue{std::uint64_t{10}});
    CHECK(keys.at("stats.knet.node2.link0.rx_total_bytes") == KeyValue{std::uint64_t{2000}});
    CHECK(keys.at("stats.knet.node3.link1.tx_total_bytes") == KeyValue{std::uint64_t{1000}});
    CHECK_FALSE(keys.contains("stats.knet.node3.link0.tx_total_bytes"));
    CHECK(keys.contains("stats.knet.node3.link0.connected"));
    CHECK(keys.at("stats.pg.msg_reserved") == KeyValue{std::uint32_t{3}});
    CHECK(keys.at("stats.pg.msg_queue_avail") == KeyValue{std::uint32_t{7}});
}

TEST_CASE("sessions are counted, open ones of both daemons") {
    config::Keys keys;
    const json cpgd{{"sessions", {{{"connected", true}}, {{"connected", false}}}}};
    cmapd::add_ipc_totals(
        7, 2, {.ringd_status = nullptr, .ringd_counters = nullptr, .cpgd_status = cpgd}, keys);
    CHECK(keys.at("stats.ipcs.global.active") == KeyValue{std::uint64_t{3}});
    CHECK(keys.at("stats.ipcs.global.closed") == KeyValue{std::uint64_t{5}});
}

TEST_CASE("stats.clear sets back counters of its part, and nothing else") {
    cmapd::Cleared cleared;
    const auto at = [&](std::uint64_t count) {
        config::Keys keys{{"stats.srp.mcast_tx", count},
                          {"stats.srp.mtt_rx_token", std::uint32_t{5}},
                          {"stats.knet.node2.link0.tx_total_packets", count},
                          {"stats.ipcs.global.active", std::uint64_t{3}},
                          {"stats.ipcs.service0.9.0x1.requests", count}};
        cleared.apply(keys);
        return keys;
    };
    CHECK(at(10).at("stats.srp.mcast_tx") == KeyValue{std::uint64_t{10}});
    cleared.clear("totem");
    const auto now = at(12);
    CHECK(now.at("stats.srp.mcast_tx") == KeyValue{std::uint64_t{0}});
    CHECK(now.at("stats.srp.mtt_rx_token") == KeyValue{std::uint32_t{5}});
    CHECK(now.at("stats.knet.node2.link0.tx_total_packets") == KeyValue{std::uint64_t{12}});
    CHECK(at(15).at("stats.srp.mcast_tx") == KeyValue{std::uint64_t{3}});
    cleared.clear("all");
    const auto all = at(20);
    CHECK(all.at("stats.knet.node2.link0.tx_total_packets") == KeyValue{std::uint64_t{0}});
    CHECK(all.at("stats.ipcs.service0.9.0x1.requests") == KeyValue{std::uint64_t{0}});
    CHECK(all.at("stats.ipcs.global.active") == KeyValue{std::uint64_t{3}});
    // The daemon was restarted, and counts from 0 again.
    CHECK(at(4).at("stats.srp.mcast_tx") == KeyValue{std::uint64_t{4}});
    CHECK(at(5).at("stats.srp.mcast_tx") == KeyValue{std::uint64_t{5}});
}

TEST_CASE("pauses of ringd are schedule misses, the latest first, until they are cleared") {
    cmapd::Cleared cleared;
    json counters = pauses({{2000, 300}, {1000, 150}});
    const auto misses = [&] {
        return cmapd::schedule_misses(counters, cleared.misses_cleared_ms(counters));
    };
    CHECK(misses().size() == 4);
    CHECK(misses().at("stats.schedmiss.0.timestamp") == api::u64(2000));
    CHECK(misses().at("stats.schedmiss.0.delay") == api::number(api::Type::Float, 300.0F));
    CHECK(misses().at("stats.schedmiss.1.timestamp") == api::u64(1000));
    cleared.clear("schedmiss");
    CHECK(misses().empty());
    counters = pauses({{3000, 120}, {2000, 300}, {1000, 150}});
    CHECK(misses().size() == 2);
    CHECK(misses().at("stats.schedmiss.0.timestamp") == api::u64(3000));
    CHECK(cmapd::schedule_misses(json("x"), 0).empty());
    CHECK(cmapd::schedule_misses(json{{"process", json::array({1})}}, 0).empty());
}
