// A daemon's part in a reload, without its sockets.
#include "common/daemon/reload.hpp"

#include <doctest/doctest.h>

namespace {

using daemon_start::Reload;
using nlohmann::json;

std::string file(int token, const std::string& more = {}) {
    return "totem {\n cluster_name: demo\n token: " + std::to_string(token) +
           "\n crypto_cipher: none\n" + more +
           "}\nnodelist {\n node {\n  nodeid: 1\n  name: a\n  ring0_addr: 127.0.0.1\n }\n"
           " node {\n  nodeid: 2\n  name: b\n  ring0_addr: peer.example\n }\n}\n"
           "uidgid {\n uid: 0\n}\n";
}

config::Loaded load(const std::string& text) {
    config::LoadOptions options;
    options.node_id = base::NodeId{1};
    options.host = config::Host{.name = "a", .addresses = {*config::IpAddress::parse("127.0.0.1")}};
    options.resolver = [](const std::string& name,
                          config::IpVersion) -> os::Result<std::vector<config::IpAddress>> {
        if (auto literal = config::IpAddress::parse(name)) return std::vector{*literal};
        return std::vector{*config::IpAddress::parse("127.0.0.2")};
    };
    auto loaded = config::load_text(text, "/etc/x.conf", options);
    if (!loaded) MESSAGE(config::problems_text(loaded.error()));
    REQUIRE(loaded);
    return std::move(*loaded);
}

struct World {
    World()
        : started{.daemon = "test",
                  .options = {},
                  .loaded = load(file(3000)),
                  .log = logging::Log("test", {.journal = false, .to_stderr = false, .file = {}})},
          reload(started, {.prepare =
                               [this](const config::Loaded&) {
                                   ++prepared;
                                   return verdict;
                               },
                           .abandon = [this] { ++abandoned; },
                           .commit = [this] { ++committed; }}) {}

    // The answer to the last part.
    Reload::Answer prepare(const std::string& text) {
        const config::Loaded loaded = load(text);
        Reload::Answer answer = json();
        for (const json& part : daemon_start::reload_parts(daemon_start::reload_body(loaded))) {
            CHECK(json{{"do", "prepare"}, {"value", part}}.dump().size() <=
                  static_cast<std::size_t>(ipc::kStatusRequestBytesMax));
            answer = reload.prepare(part);
        }
        return answer;
    }

    daemon_start::Started started;
    base::Expected<void, std::string> verdict;
    int prepared = 0;
    int abandoned = 0;
    int committed = 0;
    Reload reload;
};

}  // namespace

TEST_CASE("what is prepared changes nothing before it is committed") {
    World world;
    const auto answer = world.prepare(file(5000));
    REQUIRE(answer);
    CHECK((*answer)["changes"] == 1);
    CHECK(world.started.loaded.cluster.times.token.count() == 3000);
    REQUIRE(world.reload.commit(*answer));
    CHECK(world.committed == 1);
    CHECK(world.started.loaded.cluster.times.token.count() == 5000);
    // The name was resolved by who asked: nobody knows peer.example here.
    CHECK(world.started.loaded.cluster.nodes[1].links[0]->resolved.text() == "127.0.0.2");
    CHECK(world.reload.configuration()["keys"]["totem.token"] ==
          json({{"type", "u32"}, {"value", 5000}}));
}

TEST_CASE("a large file comes in parts, in order, whatever it holds") {
    World world;
    std::string text = file(4000);
    for (int i = 0; i < 2000; ++i)
        text += "# \"quotes\" \\ and \xc3\xa4 \xff in a comment\n";
    const auto answer = world.prepare(text);
    REQUIRE(answer);
    REQUIRE(world.reload.commit(*answer));
    CHECK(world.started.loaded.cluster.times.token.count() == 4000);

    const auto parts = daemon_start::reload_parts(daemon_start::reload_body(load(text)));
    REQUIRE(parts.size() > 10);
    REQUIRE(world.reload.prepare(parts[0]));
    CHECK_FALSE(world.reload.prepare(parts[2]));
    CHECK_FALSE(world.reload.prepare(parts[1]));  // From the start again.
    CHECK_FALSE(world.reload.prepare({{"size", 1}, {"offset", 0}, {"part", "too long"}}));
    CHECK_FALSE(world.reload.prepare({{"size", "1"}, {"offset", 0}, {"part", "x"}}));
    CHECK_FALSE(world.reload.prepare(json::array()));
}

TEST_CASE("the daemon's own reason is the answer, and nothing is prepared then") {
    World world;
    world.verdict = base::fail(std::string("cannot bind"));
    CHECK(world.prepare(file(5000)).error() == "cannot bind");
    CHECK_FALSE(world.reload.commit({{"prepared", 1}}));
}

TEST_CASE("what can't change while the node runs is refused with both values") {
    World world;
    const auto answer = world.prepare(file(3000, " ip_version: ipv4\n"));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().find("/etc/x.conf:5: totem.ip_version cannot change") == 0);
    CHECK(answer.error().find("'ipv4'") != std::string::npos);
    CHECK(world.prepared == 0);
}

TEST_CASE("dropped is dropped, and a commit names what it means") {
    World world;
    auto answer = world.prepare(file(5000));
    REQUIRE(world.reload.abandon());
    CHECK(world.abandoned == 1);
    CHECK_FALSE(world.reload.commit(*answer));
    answer = world.prepare(file(6000));
    const auto later = world.prepare(file(7000));
    CHECK(world.abandoned == 2);
    CHECK_FALSE(world.reload.commit(*answer));
    REQUIRE(world.reload.commit(*later));
    CHECK(world.started.loaded.cluster.times.token.count() == 7000);
}
