// What the papers tell as examples: TOCS 1995 sections 3 to 5, EVS (ICDCS 1994).
#include <doctest/doctest.h>

#include "tests/scenario/tale.hpp"

namespace {

using scenario::PacketType;
using scenario::Tale;

// So many messages of the ring were delivered at this member, since it was formed.
auto delivered_up_to(std::size_t member, std::uint64_t seq) {
    return [=](const model::World& world) {
        return world.is_running(member - 1) &&
               world.ring(member - 1).status().delivered >= totem::Seq{seq};
    };
}

auto state_of(std::size_t member, std::string_view state) {
    return
        [=](const model::World& world) { return world.ring(member - 1).status().state == state; };
}

}  // namespace

TEST_CASE("three who start together form one ring, and each learns of nobody else before") {
    Tale tale(3);
    tale.settle();
    CHECK(tale.heard() == R"()");
    CHECK(tale.broken_rules() == "");
}

TEST_CASE(
    "TOCS 3: an agreed message comes when it is next, a safe one when all are known to have it") {
    Tale tale(3);
    tale.settle();
    (void)tale.heard();

    tale.send(1);
    tale.send(1, true);
    // Member 3 gets nothing, so nobody may call the second one safe.
    const auto data_to_3 = [](std::size_t, std::size_t to, PacketType what) {
        return to == 3 && what == PacketType::Data;
    };
    REQUIRE(
        tale.go_on([rounds = 0](const model::World&) mutable { return ++rounds > 40; }, data_to_3));
    CHECK(tale.heard() == R"()");

    tale.settle();
    CHECK(tale.heard() == R"()");
    CHECK(tale.broken_rules() == "");
}

TEST_CASE(
    "EVS 2: who is cut off delivers the rest among those who come along, and so do the others") {
    Tale tale(3);
    tale.settle();
    (void)tale.heard();

    // Of two safe messages the first is on its way when member 3's cable is pulled.
    tale.send(1, true);
    tale.send(2, true);
    REQUIRE(tale.go_on(
        [](const model::World& world) { return world.ring(2).status().seq >= totem::Seq{1}; }));
    tale.cut_off(3);
    REQUIRE(tale.go_on([](const model::World& world) {
        return world.ring(0).status().members.size() == 2 &&
               world.ring(2).status().members.size() == 1;
    }));
    CHECK(tale.heard() == R"()");

    tale.mend(3);
    tale.settle();
    CHECK(tale.heard() == R"()");
    CHECK(tale.broken_rules() == "");
}

TEST_CASE("TOCS 5: who said that it is complete delivers what the others then may have delivered") {
    Tale tale(3);
    tale.settle();
    (void)tale.heard();

    // 3.1 reaches nobody, 2.1 comes behind it, and 3 dies: a gap that nobody can fill.
    tale.send(3);
    REQUIRE(tale.go_on(
        [](const model::World& world) { return world.ring(2).status().seq == totem::Seq{1}; }));
    tale.send(2, true);
    REQUIRE(tale.go_on(
        [](const model::World& world) { return world.ring(0).status().seq == totem::Seq{2}; },
        [](std::size_t from, std::size_t, PacketType what) {
            return from == 3 && what == PacketType::Data;
        }));
    tale.crash(3);
    // 2 is the first to see that both are complete: it delivers 2.1 as safe, for 1 as well, and
    // dies before 1 learns of it.
    REQUIRE(tale.go_on(state_of(2, "operational")));
    REQUIRE(tale.go_on(state_of(2, "recovery")));
    const auto from_2 = [](std::size_t from, std::size_t, PacketType what) {
        return from == 2 && what == PacketType::Token;
    };
    REQUIRE(tale.go_on(state_of(2, "operational"), from_2));
    tale.crash(2);
    REQUIRE(tale.go_on(
        [](const model::World& world) { return world.ring(0).status().members.size() == 1; },
        from_2));
    CHECK(tale.heard() == R"()");
    CHECK(tale.broken_rules() == "");
}
