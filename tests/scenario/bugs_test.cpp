// Stories that went wrong once, here or in Corosync.
#include <doctest/doctest.h>

#include "tests/scenario/tale.hpp"

namespace {

using scenario::PacketType;
using scenario::Tale;

}  // namespace

TEST_CASE("a representative that restarts forms a ring with a number that it never used") {
    Tale tale(2);
    tale.settle();
    tale.crash(1);
    tale.restart(1);
    tale.settle();
    CHECK(tale.heard() == R"()");
    CHECK(tale.broken_rules() == "");
}

TEST_CASE("a token that is lost comes again from who sent it, and the ring stays") {
    Tale tale(3);
    tale.settle();
    (void)tale.heard();
    tale.send(2);
    bool is_lost_yet = false;
    REQUIRE(tale.go_on(
        [](const model::World& world) {
            return world.ring(0).status().delivered == totem::Seq{1} &&
                   world.ring(2).status().delivered == totem::Seq{1};
        },
        [&](std::size_t, std::size_t, PacketType what) {
            return what == PacketType::Token && !std::exchange(is_lost_yet, true);
        }));
    tale.settle();
    CHECK(is_lost_yet);
    CHECK(tale.heard() == R"()");
    CHECK(tale.world().ring(0).stats().rings_formed == 1);
    CHECK(tale.broken_rules() == "");
}

TEST_CASE("all that one member lacks is sent again, though the sender has gone on") {
    Tale tale(3);
    tale.settle();
    (void)tale.heard();
    for (int i = 0; i < 3; ++i)
        tale.send(1);
    REQUIRE(tale.go_on(
        [](const model::World& world) { return world.ring(1).status().delivered >= totem::Seq{1}; },
        [](std::size_t, std::size_t to, PacketType what) {
            return to == 3 && what == PacketType::Data;
        }));
    tale.settle();
    CHECK(tale.heard() == R"()");
    CHECK(tale.broken_rules() == "");
}
