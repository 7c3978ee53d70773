// libhalo's keys: the same daemon, in C++.
#include <doctest/doctest.h>

#include <halo/keys.hpp>

#include "tests/unit/libcmap/one_node_cmapd.hpp"

namespace {

TEST_CASE("values come back with their types, in order of their names") {
    const OneNodeCmapd cmapd;
    auto keys = halo::Keys::connect();
    REQUIRE(keys);
    const std::vector<halo::KeyValue> values{std::int8_t{-1},
                                             std::uint8_t{1},
                                             std::int16_t{-2},
                                             std::uint16_t{2},
                                             std::int32_t{-3},
                                             std::uint32_t{3},
                                             std::int64_t{-4},
                                             std::uint64_t{4},
                                             1.5f,
                                             2.5,
                                             std::string("text"),
                                             std::vector<std::byte>{std::byte{0}, std::byte{255}}};
    for (std::size_t i = 0; i < values.size(); ++i) {
        REQUIRE(keys->set("value." + std::string(1, static_cast<char>('a' + i)), values[i]));
    }
    const auto listed = keys->list("value.");
    REQUIRE(listed);
    REQUIRE(listed->size() == values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        CHECK((*listed)[i].value == values[i]);
    }
    const auto none = keys->get("no.key");
    REQUIRE(none);
    CHECK_FALSE(*none);
    CHECK(*keys->erase("value.a"));
    CHECK_FALSE(*keys->erase("value.a"));
}

TEST_CASE("a refusal has the daemon's words") {
    const OneNodeCmapd cmapd;
    auto keys = halo::Keys::connect();
    REQUIRE(keys);
    const auto refused = keys->set("nodelist.node.0.name", std::string("x"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().error == halo::Error::Access);
    CHECK(refused.error().reason == "read-only key");
    const auto cluster = keys->set("cluster.key", std::uint8_t{1});
    REQUIRE_FALSE(cluster);
    CHECK(cluster.error().error == halo::Error::TryAgain);
    CHECK(cluster.error().reason == "this node is not in the cluster yet");
}

TEST_CASE("a transaction compares and sets") {
    const OneNodeCmapd cmapd;
    auto keys = halo::Keys::connect();
    REQUIRE(keys);
    halo::KeyTransaction create{
        .conditions = {{"run.a", std::nullopt}},
        .writes = {{"run.a", std::uint32_t{1}}, {"run.b", std::uint32_t{2}}}};
    CHECK(*keys->apply(create));
    CHECK_FALSE(*keys->apply(create));
    halo::KeyTransaction move{.conditions = {{"run.a", std::uint32_t{1}}},
                              .writes = {{"run.a", std::nullopt}, {"run.c", std::uint32_t{3}}}};
    CHECK(*keys->apply(move));
    CHECK_FALSE(*keys->get("run.a"));
    CHECK(**keys->get("run.c") == halo::KeyValue(std::uint32_t{3}));
    REQUIRE(keys->add("run.c", 4));
    CHECK(**keys->get("run.c") == halo::KeyValue(std::uint32_t{7}));
}

TEST_CASE("a watch tells each change with before and after, over a restart") {
    OneNodeCmapd cmapd;
    auto keys = halo::Keys::connect();
    REQUIRE(keys);
    REQUIRE(keys->watch("run."));
    REQUIRE(keys->set("run.a", std::uint8_t{1}));
    cmapd.restart();
    REQUIRE(keys->set("run.a", std::uint8_t{2}));
    REQUIRE(keys->erase("run.a"));
    std::vector<halo::KeyChange> changes;
    while (changes.size() < 3) {
        auto change = keys->next(halo::Wait::ForEvent);
        REQUIRE(change);
        if (*change) changes.push_back(**change);
    }
    CHECK_FALSE(changes[0].before);
    CHECK(changes[0].after == halo::KeyValue(std::uint8_t{1}));
    CHECK(changes[1].before == halo::KeyValue(std::uint8_t{1}));
    CHECK(changes[1].after == halo::KeyValue(std::uint8_t{2}));
    CHECK_FALSE(changes[2].after);
    CHECK(keys->next(halo::Wait::Never).error() == halo::Error::TryAgain);
}

}  // namespace
