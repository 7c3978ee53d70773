#include "common/config/reload_rules.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace {

std::string node(int id, const std::string& name, const std::string& address) {
    return " node {\n  nodeid: " + std::to_string(id) + "\n  name: " + name +
           "\n  ring0_addr: " + address + "\n }\n";
}

const std::string kA = node(1, "a", "192.0.2.1");
const std::string kB = node(2, "b", "192.0.2.2");
const std::string kC = node(3, "c", "192.0.2.3");

config::Loaded load(const std::string& totem, const std::string& nodes,
                    const std::string& more = {}) {
    auto loaded = config::load_text(
        "totem {\n" + totem + "}\nnodelist {\n" + nodes + "}\n" + more, "f",
        {.node_id = {},
         .host = config::Host{.name = "a", .addresses = {*config::IpAddress::parse("192.0.2.1")}}});
    if (!loaded) MESSAGE(config::problems_text(loaded.error()));
    REQUIRE(loaded);
    return std::move(*loaded);
}

config::ReloadVerdict judge(const config::Loaded& running, const config::Loaded& next) {
    return config::judge_reload(running, next);
}

}  // namespace

TEST_CASE("times, nodes and logging change; the changes are listed") {
    const auto verdict = judge(load(" token: 3000\n", kA + kB),
                               load(" token: 4000\n", kC + kA + kB, "logging {\n debug: on\n}\n"));
    CHECK(verdict.refused.empty());
    CHECK(verdict.at_next_start.empty());
    CHECK(std::ranges::any_of(verdict.changes.all,
                              [](const auto& change) { return change.name == "totem.token"; }));
}

TEST_CASE("what takes a restart of all nodes is refused, with its line") {
    const auto verdict = judge(load(" transport: knet\n", kA + kB),
                               load(" token: 3000\n transport: udpu\n", kA + kB));
    REQUIRE(verdict.refused.size() == 1);
    CHECK(verdict.refused[0].starts_with("f:3: totem.transport cannot change"));
}

TEST_CASE("encryption is not switched while packets are on their way, its kind is") {
    const auto on = load(" crypto_cipher: aes256\n", kA + kB);
    CHECK(judge(on, load(" crypto_cipher: chacha20\n", kA + kB)).refused.empty());
    const auto off = load(" crypto_cipher: none\n", kA + kB);
    REQUIRE(judge(on, off).refused.size() == 1);
    CHECK(judge(on, off).refused[0].find("switched off") != std::string::npos);
    CHECK(judge(off, on).refused.size() == 1);
}

TEST_CASE("a node keeps its number") {
    const auto verdict = judge(load("", kA + kB), load("", kA + node(9, "b", "192.0.2.2")));
    REQUIRE(verdict.refused.size() == 1);
    CHECK(verdict.refused[0].find("node 'b' has nodeid 2 and can't become 9") != std::string::npos);
}

TEST_CASE("what the next start brings is taken and said") {
    const auto verdict = judge(load("", kA + kB), load("", kA + kB, "halo {\n user: other\n}\n"));
    CHECK(verdict.refused.empty());
    CHECK(verdict.at_next_start == std::vector<std::string>{"halo.user"});
}

TEST_CASE("nodes must agree about the cluster, not about the host") {
    const auto one = load(" token: 3000\n keyfile: /a\n", kA + kB, "logging {\n debug: on\n}\n");
    const auto other =
        load(" token: 3000\n keyfile: /b\n", kA + kB, "system {\n sched_rr: no\n}\n");
    CHECK(config::cluster_wide(one) == config::cluster_wide(other));
    const auto different = load(" token: 3100\n", kA + kB);
    CHECK(config::cluster_wide(one) != config::cluster_wide(different));
    const auto lines = config::cluster_wide(one);
    CHECK(std::ranges::find(lines, "totem.token 3000") != lines.end());
    CHECK(std::ranges::is_sorted(lines));
}
