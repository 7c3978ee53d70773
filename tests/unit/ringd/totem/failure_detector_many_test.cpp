// The detector among many nodes: who is beaten rarely, and what is said to all.
#include <doctest/doctest.h>

#include <map>

#include "ringd/totem/failure_detector.hpp"
#include "tests/unit/ringd/totem/detector_world.hpp"

using namespace detector_world;

namespace {

totem::RingConfig many(std::uint32_t count) {
    totem::RingConfig out = config();
    out.peers.clear();
    for (std::uint32_t node = 2; node <= count; ++node) {
        out.peers.push_back({.node = NodeId{node}, .links = {kLink}});
    }
    return out;
}

// The peer promises its next heartbeat within this.
totem::Heartbeat promising(milliseconds length) {
    totem::Heartbeat out = heartbeat();
    out.promise = static_cast<std::uint16_t>(length / totem::kPromiseUnit);
    return out;
}

}  // namespace

TEST_CASE("in a ring of many the near are beaten at the full rate, the others rarely and told so") {
    World world;
    world.detector = FailureDetector(many(12), world.now);
    totem::NodeSet members{NodeId{1}};
    for (std::uint32_t node = 2; node <= 12; ++node) {
        members.insert(NodeId{node});
        totem::Heartbeat first = heartbeat();
        first.row.node = NodeId{node};
        first.row.hears = {NodeId{node}};
        world.detector.heartbeat_arrived(NodeId{node}, kLink, first, world.now);
    }
    world.detector.watch(NodeId{1}, members, {NodeId{2}, NodeId{3}}, world.now);
    world.wait(milliseconds(500));
    std::map<std::uint32_t, int> counts;
    for (int i = 0; i < 20; ++i) {
        for (const NodeId node : members.without(NodeId{1}))
            world.detector.packet_arrived(node, kLink, world.now);
        for (const FailureDetector::Beat& beat : world.wait(milliseconds(200))) {
            ++counts[beat.peer.value()];
            CHECK((beat.promise > 50) == (beat.peer.value() > 3));
        }
    }
    CHECK(counts[2] >= 38);
    CHECK(counts[3] >= 38);
    for (std::uint32_t node = 4; node <= 12; ++node)
        CHECK(counts[node] <= 8);
}

TEST_CASE("who promised to be rare is asked before it is convicted, and acquitted by any packet") {
    World world;
    world.detector.heartbeat_arrived(kPeer, kLink, promising(milliseconds(900)), world.now);
    world.wait(milliseconds(1300));  // The very first asks.
    world.detector.packet_arrived(kPeer, kLink, world.now);
    const auto none = world.wait(milliseconds(1300));
    CHECK(std::ranges::none_of(none, [](const auto& beat) { return beat.reply_wanted; }));
    const auto asked = world.wait(milliseconds(600));
    CHECK(std::ranges::count_if(asked, [](const auto& beat) { return beat.reply_wanted; }) >= 8);
    CHECK(world.heard());
    world.detector.packet_arrived(kPeer, kLink, world.now);
    world.wait(milliseconds(1900));
    CHECK(world.heard());
    world.wait(milliseconds(150));
    CHECK_FALSE(world.heard());
}

TEST_CASE("who is rare and somebody misses has half a silence to answer") {
    World world;
    world.detector.heartbeat_arrived(kPeer, kLink, promising(milliseconds(900)), world.now);
    world.wait(milliseconds(500));
    world.detector.accuse(kPeer, world.now);
    world.wait(milliseconds(200));
    CHECK(world.heard());
    world.detector.packet_arrived(kPeer, kLink, world.now);
    world.wait(milliseconds(500));
    CHECK(world.heard());
    world.detector.accuse(kPeer, world.now);
    world.wait(milliseconds(320));
    CHECK_FALSE(world.heard());
}

TEST_CASE("one refusal convicts who is missed by another as well") {
    World world;
    world.beat();
    world.detector.port_unreachable(kPeer, kLink, world.now);
    CHECK(world.heard());
    world.beat();
    world.detector.accuse(kPeer, world.now);
    world.detector.port_unreachable(kPeer, kLink, world.now);
    CHECK_FALSE(world.heard());
}

TEST_CASE("a kernel that answers for a node which is not there is rarely asked") {
    World world;
    world.wait(milliseconds(10));
    for (int i = 0; i < 3; ++i) {
        world.detector.port_unreachable(kPeer, kLink, world.now);
        CHECK(world.wait(milliseconds(200)).size() <= 3);
    }
    CHECK(world.wait(milliseconds(6000)).size() <= 4);
}

TEST_CASE("words to all of many nodes leave out whose kernel says that nobody is there") {
    World world;
    world.detector = FailureDetector(many(64), world.now);
    world.wait(milliseconds(10));
    world.detector.port_unreachable(NodeId{3}, kLink, world.now);
    const auto is_told = [&](NodeId node) {
        world.detector.hurry(world.now);
        const auto beats = world.wait(milliseconds(100));
        CHECK(beats.size() >= 62);
        return std::ranges::any_of(beats, [&](const auto& beat) { return beat.peer == node; });
    };
    CHECK(is_told(kPeer));
    CHECK_FALSE(is_told(NodeId{3}));
    totem::Heartbeat first = heartbeat();
    first.row.node = NodeId{3};
    first.row.hears = {NodeId{3}};
    world.detector.heartbeat_arrived(NodeId{3}, kLink, first, world.now);
    CHECK(is_told(NodeId{3}));
}

TEST_CASE("words to all of many nodes: a few at once, then as many as they can bear") {
    World world;
    world.detector = FailureDetector(many(64), world.now);
    int words = 0;
    for (const Instant end = world.now + milliseconds(2000); world.now < end;) {
        world.now = std::max(world.now, world.detector.next_word());
        world.detector.told_all(world.now);
        ++words;
    }
    CHECK(words >= 14);
    CHECK(words <= 18);
}
