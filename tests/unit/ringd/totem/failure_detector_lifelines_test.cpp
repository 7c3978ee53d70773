// What the end of a lifeline brings about.
#include <doctest/doctest.h>

#include "ringd/totem/failure_detector.hpp"
#include "tests/unit/ringd/totem/detector_world.hpp"

using namespace detector_world;

namespace {

void refuse(World& world, LinkId link = kLink) {
    world.detector.port_unreachable(kPeer, link, world.now);
}

// Heard, just beaten, and with a lifeline.
World settled(std::size_t links = 1) {
    World world(links);
    for (std::uint8_t link = 0; link < links; ++link) {
        for (int i = 0; i < 3; ++i)
            world.beat(LinkId{link});
    }
    world.detector.lifeline_up(kPeer, kLink, world.now);
    world.wait(milliseconds(1));
    return world;
}

}  // namespace

TEST_CASE("who hangs up is asked at once, on each link, and convicted by one refusal of each") {
    World one = settled();
    one.detector.hung_up(kPeer, one.now);
    CHECK_FALSE(one.detector.lifeline(kPeer).has_value());
    CHECK(one.heard());
    const auto probes = one.wait(milliseconds(1));
    REQUIRE(probes.size() == 1);
    CHECK(probes[0].reply_wanted);
    refuse(one);
    CHECK_FALSE(one.heard());

    World two = settled(2);
    two.detector.hung_up(kPeer, two.now);
    CHECK(two.wait(milliseconds(1)).size() == 2);
    refuse(two, LinkId{1});
    CHECK(two.heard());
    refuse(two, LinkId{0});
    CHECK_FALSE(two.heard());
}

TEST_CASE("who is none of those with whom a lifeline is kept has none, and is asked nothing") {
    World world = settled();
    world.detector.keep_lifelines({kPeer}, world.now);
    CHECK(world.detector.lifeline(kPeer) == kLink);
    world.detector.keep_lifelines({}, world.now);
    CHECK_FALSE(world.detector.lifeline(kPeer).has_value());
    CHECK(world.wait(milliseconds(1)).empty());
}

TEST_CASE("who hangs up and answers lives: one refusal says no more than at other times") {
    World world = settled();
    world.detector.hung_up(kPeer, world.now);
    CHECK(world.wait(milliseconds(1)).size() == 1);
    world.beat();
    CHECK(world.wait(milliseconds(50)).empty());
    refuse(world);
    CHECK(world.heard());
    world.detector.packet_arrived(kPeer, kLink, world.now);
    world.detector.hung_up(kPeer, world.now);
    world.detector.packet_arrived(kPeer, kLink, world.now);
    refuse(world);
    CHECK(world.heard());
}

TEST_CASE("a refusal that comes just before the end of the lifeline counts") {
    World world = settled();
    refuse(world);
    CHECK(world.heard());
    world.detector.hung_up(kPeer, world.now);
    CHECK_FALSE(world.heard());
}

TEST_CASE("who hangs up and says nothing is asked for a tenth of a second") {
    World world = settled();
    world.detector.hung_up(kPeer, world.now);
    CHECK(world.wait(milliseconds(100)).size() >= 10);
    CHECK(world.wait(milliseconds(90)).size() <= 2);
    CHECK(world.heard());
    // Who kept the port for it is gone now, too.
    refuse(world);
    CHECK_FALSE(world.heard());
}

TEST_CASE("a lifeline that is closed says nothing") {
    World world = settled();
    world.detector.lifeline_down(kPeer, world.now);
    CHECK_FALSE(world.detector.lifeline(kPeer).has_value());
    CHECK(world.wait(milliseconds(50)).empty());
    refuse(world);
    CHECK(world.heard());
    world.detector.lifeline_up(kPeer, kLink, world.now);
    world.detector.lifeline_down(base::kNoNode, world.now);
    CHECK_FALSE(world.detector.lifeline(kPeer).has_value());
    world.detector.lifeline_up(kPeer, LinkId{7}, world.now);  // There is no such link.
    CHECK_FALSE(world.detector.lifeline(kPeer).has_value());
}

TEST_CASE("who is not heard is not asked when it hangs up") {
    World world = settled();
    world.detector.convict(kPeer);
    world.wait(milliseconds(1));
    world.detector.hung_up(kPeer, world.now);
    CHECK(world.wait(milliseconds(50)).empty());
}

TEST_CASE("a lifeline over a link that is down makes no heartbeat rarer") {
    World world = settled(2);
    const totem::NodeSet members{NodeId{1}, kPeer};
    world.detector.watch(NodeId{1}, members, {kPeer}, world.now);
    const auto beats = [&](milliseconds length) {
        std::size_t count = 0;
        for (const Instant end = world.now + length; world.now < end;) {
            for (std::uint8_t link = 0; link < 2; ++link)
                world.detector.packet_arrived(kPeer, LinkId{link}, world.now);
            count += world.wait(milliseconds(50)).size();
        }
        return count;
    };
    beats(milliseconds(2000));
    CHECK(beats(milliseconds(3500)) <= 22);
    world.detector.link_changed(LinkId{0}, false, world.now);
    beats(milliseconds(1000));
    CHECK(beats(milliseconds(3500)) >= 34);
}
