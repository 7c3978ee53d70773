#include "ringd/totem/failure_detector.hpp"

#include <doctest/doctest.h>

#include "tests/unit/ringd/totem/detector_world.hpp"

using namespace detector_world;

TEST_CASE("the first heartbeat makes a peer heard, silence ends it") {
    World world;
    CHECK_FALSE(world.heard());
    world.beat();
    CHECK(world.heard());
    world.wait(milliseconds(550));
    CHECK(world.heard());
    world.wait(milliseconds(150));
    CHECK_FALSE(world.heard());
}

TEST_CASE("any packet is a sign of life") {
    World world;
    world.beat();
    for (int i = 0; i < 10; ++i) {
        world.wait(milliseconds(300));
        world.detector.packet_arrived(kPeer, kLink, world.now);
        CHECK(world.heard());
    }
}

TEST_CASE("a path that jitters is given longer, up to silence_max") {
    World world;
    for (int i = 0; i < 60; ++i) {
        world.beat();
        world.wait(milliseconds(i % 2 == 0 ? 10 : 500));
    }
    world.beat();
    world.wait(milliseconds(900));
    CHECK(world.heard());
    world.wait(milliseconds(1300));
    CHECK_FALSE(world.heard());
}

TEST_CASE("deaths and outages do not make the limit longer") {
    const auto settle = [](World& world, std::uint64_t run) {
        for (int i = 0; i < 10; ++i) {
            world.beat(kLink, run);
            world.wait(milliseconds(100));
        }
    };
    const auto is_convicted_in_time = [](World& world) {
        world.wait(milliseconds(620));
        return !world.heard();
    };
    World killed;
    for (std::uint64_t run = 1; run <= 10; ++run) {
        settle(killed, run);
        killed.detector.convict(kPeer);
        killed.wait(milliseconds(800));
    }
    settle(killed, 11);
    CHECK(is_convicted_in_time(killed));

    World cut;
    for (int i = 0; i < 5; ++i) {
        settle(cut, 1);
        cut.wait(milliseconds(5000));
    }
    settle(cut, 1);
    CHECK(is_convicted_in_time(cut));
}

TEST_CASE("after a silence a peer must prove itself with three heartbeats") {
    World world;
    world.beat();
    world.wait(milliseconds(700));
    world.beat();
    world.beat();
    CHECK_FALSE(world.heard());
    world.beat();
    CHECK(world.heard());
}

TEST_CASE("heartbeats go out at their interval, faster to nobody") {
    World world;
    const auto beats = world.wait(milliseconds(1000));
    CHECK(beats.size() >= 9);
    CHECK(beats.size() <= 11);
    CHECK(beats.front().reply_wanted);
    CHECK_FALSE(beats.back().reply_wanted);
}

TEST_CASE("who asks for an answer gets it at the next tick, which is now") {
    World world;
    world.wait(milliseconds(30));
    totem::Heartbeat asking = heartbeat();
    asking.reply_wanted = true;
    asking.sent_ns = 77;
    world.detector.heartbeat_arrived(kPeer, kLink, asking, world.now);
    CHECK(world.detector.next_tick() <= world.now);
    std::vector<FailureDetector::Beat> beats;
    world.detector.tick(world.now, beats);
    REQUIRE(beats.size() == 1);
    CHECK(beats[0].echo_ns == 77);
}

TEST_CASE("three unreachable answers convict, and are asked for by probes; a packet acquits") {
    World world;
    world.beat();
    const auto refuse = [&] { world.detector.port_unreachable(kPeer, kLink, world.now); };
    refuse();
    CHECK_FALSE(world.wait(milliseconds(10)).empty());  // A probe, long before the next beat.
    refuse();
    CHECK(world.heard());
    world.detector.packet_arrived(kPeer, kLink, world.now);  // It lives: forged or late.
    refuse();
    refuse();
    CHECK(world.heard());
    world.wait(milliseconds(10));
    refuse();
    CHECK_FALSE(world.heard());
}

TEST_CASE("the unreachable answers to one burst convict: a kernel gives no more for a second") {
    World world;
    world.beat();
    for (int i = 0; i < 3; ++i) {
        CHECK(world.heard());
        world.detector.port_unreachable(kPeer, kLink, world.now);
    }
    CHECK_FALSE(world.heard());
}

TEST_CASE("who is convicted comes back as another run, or by going on") {
    World world;
    world.beat();
    world.detector.convict(kPeer);
    CHECK_FALSE(world.heard());
    CHECK(world.detector.is_over(kPeer, {.ring_seq = 1}));
    world.beat(kLink, 1);  // A late one.
    CHECK_FALSE(world.heard());
    world.beat(kLink, 2);
    CHECK(world.heard());

    world.detector.convict(kPeer);  // Wrongly: it was the run before that ended.
    for (int i = 0; i < 3; ++i)
        world.beat(kLink, 2);
    CHECK(world.heard());
}

TEST_CASE("an obituary that comes after the restart is about the run before") {
    World world;
    world.beat(kLink, 1);
    world.wait(milliseconds(100));
    world.beat(kLink, 2);
    CHECK_FALSE(world.detector.obituary(kPeer, world.now));
    CHECK(world.heard());
    for (int i = 0; i < 8; ++i) {
        world.wait(milliseconds(100));
        world.beat(kLink, 2);
    }
    CHECK(world.detector.obituary(kPeer, world.now));
    CHECK_FALSE(world.heard());
}

TEST_CASE("a heartbeat of an earlier run is not believed") {
    World world;
    world.beat(kLink, 2);
    totem::Heartbeat old = heartbeat(1);
    CHECK_FALSE(world.detector.heartbeat_arrived(kPeer, kLink, old, world.now));
    CHECK(world.detector.heartbeat_arrived(kPeer, kLink, heartbeat(2), world.now));
}

TEST_CASE("an accusation shortens the patience, and does not convict who is alive") {
    World world;
    world.beat();
    world.wait(milliseconds(200));
    world.detector.accuse(kPeer, world.now);
    CHECK(world.heard());
    world.wait(milliseconds(200));
    world.detector.accuse(kPeer, world.now);
    CHECK_FALSE(world.heard());
}

TEST_CASE("our own pause is no silence of others") {
    World world;
    world.beat();
    world.wait(milliseconds(300));
    world.now += milliseconds(5000);
    world.detector.paused(milliseconds(5000));
    world.wait(milliseconds(100));
    CHECK(world.heard());
}

TEST_CASE("a lost link moves the peer to another, and back is back at once") {
    World world(2);
    world.beat(LinkId{0});
    // A further link has to prove itself; the first one had to be believed.
    for (int i = 0; i < 3; ++i)
        world.beat(LinkId{1});
    CHECK(world.detector.best_link(kPeer) == LinkId{0});
    world.detector.link_changed(LinkId{0}, false, world.now);
    CHECK(world.detector.best_link(kPeer) == LinkId{1});
    world.detector.link_changed(LinkId{1}, false, world.now);
    CHECK_FALSE(world.heard());
    world.detector.link_changed(LinkId{0}, true, world.now);
    world.beat(LinkId{0});
    CHECK(world.heard());
}

TEST_CASE("who is woken by a heartbeat less than half an interval before its own is due sends it") {
    World world;
    world.beat();
    world.wait(milliseconds(100));
    CHECK(world.wait(milliseconds(40)).empty());
    world.beat();  // Ours is due in 60 ms.
    CHECK(world.wait(milliseconds(1)).empty());
    world.wait(milliseconds(149));
    world.beat();  // In 10 ms.
    CHECK(world.wait(milliseconds(1)).size() == 1);
    CHECK(world.wait(milliseconds(98)).empty());
    CHECK(world.wait(milliseconds(2)).size() == 1);
}

TEST_CASE("an idle node wakes once an interval, and when a silence was long enough") {
    World world;
    world.beat();
    std::vector<FailureDetector::Beat> beats;
    for (int i = 0; i < 20; ++i) {
        world.now = world.detector.next_tick();
        world.detector.tick(world.now, beats);
        world.beat();
    }
    CHECK(world.now <= Instant{milliseconds(1000 + 20 * 100)});
    CHECK(world.now >= Instant{milliseconds(1000 + 18 * 100)});
    const Instant last_heard = world.now;
    while (world.heard()) {
        world.now = world.detector.next_tick();
        world.detector.tick(world.now, beats);
    }
    CHECK(world.now - last_heard <= milliseconds(601));
}

TEST_CASE("a link that is said to be lost, and carries heartbeats, is not lost") {
    World world;
    world.beat();
    world.detector.link_changed(kLink, false, world.now);
    CHECK_FALSE(world.heard());
    for (int i = 0; i < 3; ++i)
        world.beat();
    CHECK(world.heard());
}

TEST_CASE("who is shunned is heard again afterwards") {
    World world;
    world.beat();
    world.detector.shun(kPeer, world.now + milliseconds(100));
    CHECK_FALSE(world.heard());
    world.now += milliseconds(100);
    CHECK(world.heard());
}

TEST_CASE("heartbeats become rarer as nodes become more") {
    totem::RingConfig large = config();
    for (std::uint32_t node = 3; node <= 128; ++node) {
        large.peers.push_back({.node = NodeId{node}, .links = {kLink}});
    }
    const FailureDetector detector(large, Instant{});
    CHECK(detector.beat_interval() == 8 * large.heartbeat_interval);
}

TEST_CASE("slower heartbeats convict nobody, whichever side hears of them first") {
    totem::RingSettings slow = config();
    slow.heartbeat_interval = milliseconds(1000);
    slow.silence_min = milliseconds(3000);
    slow.silence_max = milliseconds(6000);

    World told_first;
    told_first.beat();
    told_first.detector.retime(slow, told_first.now);
    // The other side still convicts after 600 ms: as often as before, until it must have heard.
    const auto beats = told_first.wait(milliseconds(2000));
    CHECK(beats.size() >= 19);
    for (Duration at{}; at < milliseconds(12000); at += milliseconds(500)) {
        told_first.beat();
        told_first.wait(milliseconds(500));
    }
    CHECK(told_first.wait(milliseconds(4000)).size() <= 6);  // By then at the new pace.

    World told_last;
    told_last.beat();
    CHECK_FALSE((told_last.wait(milliseconds(900)), told_last.heard()));
    told_last = World();
    told_last.beat();
    told_last.wait(milliseconds(500));
    told_last.detector.retime(slow, told_last.now);
    told_last.wait(milliseconds(2400));
    CHECK(told_last.heard());
    told_last.wait(milliseconds(200));
    CHECK_FALSE(told_last.heard());
}

TEST_CASE("faster heartbeats are believed only when those of the other side must be faster, too") {
    totem::RingSettings fast = config();
    fast.heartbeat_interval = milliseconds(20);
    fast.silence_min = milliseconds(100);
    fast.silence_max = milliseconds(400);
    World world;
    world.beat();
    world.detector.retime(fast, world.now);
    for (int i = 0; i < 19; ++i) {  // The other side still goes at the old pace.
        world.wait(milliseconds(100));
        CHECK(world.heard());
        world.beat();
    }
    world.wait(milliseconds(200));  // The former settings count no more.
    world.beat();
    for (int i = 0; i < 100; ++i) {
        world.wait(milliseconds(20));
        world.beat();
    }
    CHECK(world.heard());
    world.wait(milliseconds(450));
    CHECK_FALSE(world.heard());
}

TEST_CASE("a kernel that answers for a node which is not there brings no probes") {
    World world;
    world.wait(milliseconds(10));
    world.detector.port_unreachable(kPeer, kLink, world.now);
    CHECK(world.wait(milliseconds(200)).size() <= 3);
    world.beat();
    CHECK(world.heard());
}

TEST_CASE("few nodes beat in step, whenever they were started") {
    const auto of_three = [](std::uint32_t self) {
        totem::RingConfig out;
        out.self = NodeId{self};
        for (std::uint32_t peer = 1; peer <= 3; ++peer) {
            if (peer != self) out.peers.push_back({.node = NodeId{peer}, .links = {kLink}});
        }
        return out;
    };
    for (const auto& [second, third] : {std::pair{33, 67}, {43, 45}, {57, 58}, {50, 99}, {2, 80}}) {
        CAPTURE(second);
        CAPTURE(third);
        const Instant start{milliseconds(1000)};
        const std::vector<Instant> starts{start, start + milliseconds(second),
                                          start + milliseconds(third)};
        std::vector<FailureDetector> nodes;
        for (std::uint32_t self = 1; self <= 3; ++self)
            nodes.emplace_back(of_three(self), starts[self - 1]);
        std::vector<Instant> sent;  // When anybody sends, of the second second.
        for (Instant now = start; now < start + milliseconds(2000); now += milliseconds(1)) {
            for (std::size_t self = 0; self < nodes.size(); ++self) {
                if (now < std::max(starts[self], nodes[self].next_tick())) continue;
                std::vector<FailureDetector::Beat> beats;
                nodes[self].tick(now, beats);
                for (const FailureDetector::Beat& beat : beats) {
                    if (now >= start + milliseconds(1000)) sent.push_back(now);
                    totem::Heartbeat words = heartbeat();
                    words.row.node = NodeId{static_cast<std::uint32_t>(self) + 1};
                    const std::size_t to = beat.peer.value() - 1;
                    if (now >= starts[to])
                        nodes[to].heartbeat_arrived(words.row.node, kLink, words, now);
                }
            }
        }
        std::size_t apart = 0;  // Bursts that are more than 10 ms after what came before.
        for (std::size_t i = 1; i < sent.size(); ++i)
            apart += sent[i] - sent[i - 1] > milliseconds(10) ? 1u : 0u;
        CHECK(sent.size() >= 50);
        CHECK(apart <= 10);
    }
}
