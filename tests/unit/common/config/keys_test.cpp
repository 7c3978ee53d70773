#include "common/config/keys.hpp"

#include <doctest/doctest.h>

namespace {

using config::Keys;
using config::KeyValue;

const std::string kFile =
    "totem {\n version: 2\n cluster_name: demo\n config_version: 3\n token: 2500\n window_size: "
    "60\n"
    " knet_compression_level: -2\n"
    " key: 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
    "89012345678901234567890123456789012345678901234567890123456789\n"
    " interface {\n  linknumber: 1\n  mcastport: 5499\n  knet_link_priority: 3\n }\n}\n"
    "nodelist {\n"
    " node {\n  nodeid: 7\n  name: a\n  ring0_addr: 192.0.2.7\n  ring1_addr: 198.51.100.7\n }\n"
    " node {\n  nodeid: 3\n  name: b\n  ring0_addr: 192.0.2.3\n  ring1_addr: 198.51.100.3\n"
    "  quorum_votes: 2\n }\n}\n"
    "quorum {\n provider: corosync_votequorum\n wait_for_all: yes\n"
    " device {\n  model: net\n  votes: 1\n  net {\n   host: 192.0.2.9\n   port: 5404\n  }\n }\n}\n"
    "logging {\n debug: off\n logger_subsys {\n  subsys: CPG\n  debug: on\n }\n"
    " logging_daemon {\n  name: corosync-qdevice\n  subsys: NET\n  debug: on\n }\n}\n"
    "uidgid {\n uid: 0\n gid: 0\n}\n"
    "system {\n sched_rr: no\n}\n"
    "resources {\n watchdog_timeout: 9\n system {\n  memory_used {\n   poll_period: 100\n  }\n "
    "}\n}\n"
    "halo {\n retained_bytes_max: 8000000\n}\n";

config::Loaded load(const std::string& text, const std::string& own_name = "b") {
    auto loaded = config::load_text(
        text, "f",
        {.node_id = {},
         .host = config::Host{.name = own_name,
                              .addresses = {*config::IpAddress::parse("192.0.2.3")}}});
    if (!loaded) MESSAGE(config::problems_text(loaded.error()));
    REQUIRE(loaded);
    return std::move(*loaded);
}

}  // namespace

TEST_CASE("each directive that is written has its key, with the type that clients expect") {
    const Keys expected{
        {"totem.version", std::uint32_t{2}},
        {"totem.cluster_name", std::string("demo")},
        {"totem.config_version", std::uint64_t{3}},
        {"totem.token", std::uint32_t{2500}},
        {"totem.window_size", std::uint32_t{60}},
        {"totem.knet_compression_level", std::int32_t{-2}},
        {"totem.interface.0.bindnetaddr", std::string("192.0.2.3")},
        {"totem.interface.1.bindnetaddr", std::string("198.51.100.3")},
        {"totem.interface.1.mcastport", std::uint16_t{5499}},
        {"totem.interface.1.knet_link_priority", std::uint8_t{3}},
        {"nodelist.local_node_pos", std::uint32_t{1}},
        {"nodelist.node.0.nodeid", std::uint32_t{7}},
        {"nodelist.node.0.name", std::string("a")},
        {"nodelist.node.0.ring0_addr", std::string("192.0.2.7")},
        {"nodelist.node.0.ring1_addr", std::string("198.51.100.7")},
        {"nodelist.node.1.nodeid", std::uint32_t{3}},
        {"nodelist.node.1.name", std::string("b")},
        {"nodelist.node.1.ring0_addr", std::string("192.0.2.3")},
        {"nodelist.node.1.ring1_addr", std::string("198.51.100.3")},
        {"nodelist.node.1.quorum_votes", std::uint32_t{2}},
        {"quorum.provider", std::string("corosync_votequorum")},
        {"quorum.wait_for_all", std::uint8_t{1}},
        {"quorum.device.model", std::string("net")},
        {"quorum.device.votes", std::uint32_t{1}},
        {"quorum.device.net.host", std::string("192.0.2.9")},
        {"quorum.device.net.port", std::string("5404")},
        {"logging.debug", std::string("off")},
        {"logging.logger_subsys.CPG.subsys", std::string("CPG")},
        {"logging.logger_subsys.CPG.debug", std::string("on")},
        {"logging.logging_daemon.corosync-qdevice.NET.name", std::string("corosync-qdevice")},
        {"logging.logging_daemon.corosync-qdevice.NET.subsys", std::string("NET")},
        {"logging.logging_daemon.corosync-qdevice.NET.debug", std::string("on")},
        {"uidgid.config.uid.0", std::uint8_t{1}},
        {"uidgid.config.gid.0", std::uint8_t{1}},
        {"system.sched_rr", std::string("no")},
        {"resources.watchdog_timeout", std::uint32_t{9}},
        {"resources.system.memory_used.poll_period", std::uint64_t{100}},
        {"halo.retained_bytes_max", std::uint64_t{8'000'000}},
    };
    const Keys keys = config::keys_of(load(kFile));
    for (const auto& change : config::changes_between(expected, keys).all) {
        CAPTURE(change.name);
        CHECK(change.before == change.after);
    }
}

TEST_CASE("the secret has no key") {
    for (const auto& [name, value] : config::keys_of(load(kFile))) {
        CHECK(name != "totem.key");
        CHECK(config::text_of(value).find("0123456789") == std::string::npos);
    }
}

TEST_CASE("the values in force are the computed ones") {
    const Keys keys = config::keys_in_force(load(kFile).cluster);
    CHECK(keys.at("runtime.config.totem.token") == KeyValue(std::uint32_t{2500}));
    CHECK(keys.at("runtime.config.totem.consensus") == KeyValue(std::uint32_t{3000}));
    CHECK(keys.at("runtime.config.totem.interface.1.knet_ping_interval") ==
          KeyValue(std::uint32_t{100}));
    CHECK(keys.at("runtime.config.halo.retained_bytes_max") == KeyValue(std::uint64_t{8'000'000}));
}

TEST_CASE("changes name what is new, what differs and what is gone") {
    const Keys before{
        {"a.a", std::uint32_t{1}}, {"a.b", std::uint32_t{2}}, {"a.d", std::uint8_t{1}}};
    const Keys after{
        {"a.b", std::uint32_t{3}}, {"a.c", std::string("x")}, {"a.d", std::uint32_t{1}}};
    const auto changes = config::changes_between(before, after).all;
    REQUIRE(changes.size() == 4);
    CHECK(changes[0].name == "a.a");
    CHECK_FALSE(changes[0].after);
    CHECK(changes[1].before == KeyValue(std::uint32_t{2}));
    CHECK(changes[1].after == KeyValue(std::uint32_t{3}));
    CHECK_FALSE(changes[2].before);
    CHECK(changes[3].name == "a.d");  // Another type is another value.
    CHECK(config::changes_between(after, after).all.empty());
}

TEST_CASE("a number that its key can't hold is refused, also where the directive does nothing") {
    CHECK(config::parse_key(config::KeyType::U8, "256") == std::nullopt);
    CHECK(config::parse_key(config::KeyType::I32, "-1") == KeyValue(std::int32_t{-1}));
    CHECK(config::parse_key(config::KeyType::U32, "yes") == KeyValue(std::uint32_t{1}));
    CHECK(config::parse_key(config::KeyType::Text, "") == KeyValue(std::string()));
    const auto loaded = config::load_text("totem {\n hold: soon\n}\n", "f", {});
    REQUIRE_FALSE(loaded);
    CHECK(config::problems_text(loaded.error())
              .find("f:2: error: hold: 'soon' is not allowed; it takes a number that is a u32") !=
          std::string::npos);
}

TEST_CASE("a key's name says where a number stands for the place of a section") {
    const auto name = [](std::string_view path) {
        for (const auto& table : {config::totem_directives(), config::other_directives()}) {
            for (const config::Directive& directive : table) {
                if (directive.path == path) return config::key_name(directive);
            }
        }
        return std::string("no such directive");
    };
    CHECK(name("totem.token") == "totem.token");
    CHECK(name("totem.interface.mcastport") == "totem.interface.N.mcastport");
    CHECK(name("nodelist.node.ring0_addr") == "nodelist.node.N.ring0_addr");
    CHECK(name("uidgid.uid") == "uidgid.config.uid.N");
    CHECK(name("totem.key").empty());
}
