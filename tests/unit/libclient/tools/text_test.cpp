#include <doctest/doctest.h>

#include "libclient/tools/group_text.hpp"
#include "libclient/tools/status_text.hpp"

using nlohmann::json;

namespace {

std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text));
}

}  // namespace

TEST_CASE("scalars stand behind their names, lists of objects are tables") {
    const json status{
        {"members", {1, 2, 3}},
        {"state", "operational"},
        {"is_slow", false},
        {"links", {{{"link", 0}, {"up", true}}, {{"link", 1}, {"address", "10.0.0.1"}}}},
        {"token", {{"rotation_us", 1.5}}}};
    CHECK(haloctl::status_text(status) ==
          "is slow: no\n"
          "members: 1 2 3\n"
          "state:   operational\n"
          "links\n"
          "  link  up   address\n"
          "  0     yes  -\n"
          "  1     -    10.0.0.1\n"
          "token\n"
          "  rotation us: 1.5\n");
}

TEST_CASE("what a client named itself cannot control the terminal") {
    CHECK(haloctl::status_text(json{{"name", "a\x1b[2Jb\n"}}) == "name: a?[2Jb?\n");
    CHECK(haloctl::payload_text(bytes("a\x1b[2J\n\\")) == "a\\x1b[2J\\x0a\\\\");
}

TEST_CASE("a long message is cut, and says how long it is") {
    CHECK(haloctl::payload_text(bytes("abcdef"), 3) == "abc… (6 bytes)");
}

TEST_CASE("events are one line each") {
    const halo::Member first{.node = 1, .pid = 10};
    const halo::Member second{.node = 2, .pid = 20};
    const auto payload = bytes("hello");
    const halo::Event message =
        halo::Message{.group = {}, .sender = first, .bytes = {payload.begin(), payload.end()}};
    CHECK(haloctl::event_text(message) == "1/10: hello");
    CHECK(json::parse(haloctl::event_json(message))["text"] == "hello");
    const halo::Event membership =
        halo::Membership{.group = {},
                         .members = {first},
                         .left = {{.member = second, .reason = halo::Reason::NodeDown}},
                         .joined = {}};
    CHECK(haloctl::event_text(membership) == "* -2/20 (node down) members: 1/10");
    CHECK(json::parse(haloctl::event_json(membership))["left"][0]["reason"] == "node down");
}
