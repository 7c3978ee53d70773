// Rules from the file and from orders, side by side.
#include "common/daemon/client_rules.hpp"

#include <doctest/doctest.h>

namespace {

// As it comes from a status socket.
nlohmann::json rule(const char* text) {
    return nlohmann::json::parse(text);
}

using Ids = std::set<std::uint32_t>;

TEST_CASE("a new file takes back what the old one allowed, and nothing that was ordered") {
    session::Access access;
    daemon_start::ClientRules rules(access);
    rules.take({.uids = {1000, 1001}, .gids = {50}});
    REQUIRE(rules.change(rule(R"({"uid": 2000})"), true));
    REQUIRE(rules.change(rule(R"({"gid": 60})"), true));

    rules.take({.uids = {1001}, .gids = {}});
    CHECK(access.uids == Ids{1001, 2000});
    CHECK(access.gids == Ids{60});

    REQUIRE(rules.change(rule(R"({"uid": 2000})"), false));
    CHECK(access.uids == Ids{1001});
}

TEST_CASE("an order that is no rule changes nothing and says what one looks like") {
    session::Access access;
    daemon_start::ClientRules rules(access);
    for (const char* wrong :
         {"1000", R"({"uid": -1})", R"({"uid": "root"})", "{}", "[1]", R"({"uid": 1, "gid": 1})",
          R"({"pid": 1})", R"({"uid": 4294967296})"}) {
        const auto changed = rules.change(rule(wrong), true);
        REQUIRE_FALSE(changed);
        CHECK(changed.error().find("{\"uid\": N}") != std::string::npos);
    }
    CHECK(access.uids.empty());
    CHECK(access.gids.empty());
}

}  // namespace
