// A service that can't keep up: what stops, who goes on, and when it is given up.
#include <doctest/doctest.h>

#include "ringd/stream/switch.hpp"
#include "tests/unit/ringd/stream/small_switches.hpp"

using namespace stream;
using namespace stream::test;
using std::chrono::seconds;

TEST_CASE("a service that does not acknowledge stops its channel, and is given up in time") {
    ToyCluster cluster = formed(2);
    ToyService& one = cluster.service(1, "a");
    ToyService& two = cluster.service(2, "a");
    cluster.connect(cluster.service(1, "b"));
    cluster.settle();

    const auto flood = [&] {
        std::size_t count = 0;
        while (cluster.submit(one, 200)) {
            cluster.run();
            cluster.acknowledge(one);  // Two never does.
            REQUIRE(++count < 1000);
        }
        return count;
    };
    CHECK(flood() >= 10);
    CHECK(one.window_bytes() == 0);
    CHECK(cluster.switch_of(2).status().channels[0].services[0].retained_bytes <= 5000);

    SUBCASE("it was only slow") {
        cluster.settle();
        CHECK(one.window_bytes() == 1000);
        CHECK(numbers_from(two.life(), 1).size() == one.life().submitted);
        CHECK(two.lives().size() == 1);
    }
    SUBCASE("other channels go on") {
        CHECK(cluster.submit(cluster.service(1, "b")));
        cluster.run();
        CHECK(numbers_from(cluster.service(1, "b").life(), 1) == Items{1});
    }
    SUBCASE("it is stuck for good") {
        cluster.pass_time(seconds(6));
        cluster.run();
        CHECK(members_of(one.life()) == Nodes{1});
        CHECK(one.window_bytes() == 1000);
        CHECK(two.refusals() == 1);
    }
    check_rules(cluster);
}

TEST_CASE("a service that stopped its channel and goes lets it go on, with what it had submitted") {
    ToyCluster cluster = formed(2);
    ToyService& one = cluster.service(1, "a");
    ToyService& two = cluster.service(2, "a");
    const auto on_its_way = two.submit(200, false, false);
    REQUIRE(on_its_way);
    std::size_t count = 0;
    while (cluster.submit(one, 200)) {
        cluster.run();
        cluster.acknowledge(one);  // Two never does.
        REQUIRE(++count < 1000);
    }
    cluster.say(2, *two.connection(), *on_its_way);
    cluster.run();
    REQUIRE(one.window_bytes() == 0);
    REQUIRE(numbers_from(one.life(), 2).empty());

    SUBCASE("a new process without the state of the last one") {
        cluster.kill(two);
        cluster.connect(two, true);
    }
    SUBCASE("it was stuck for good") {
        cluster.pass_time(seconds(6));
    }
    SUBCASE("it stays away") {
        cluster.kill(two);
        cluster.pass_time(seconds(11));
    }
    cluster.run();
    CHECK(one.window_bytes() == 1000);
    cluster.acknowledge(one);
    CHECK(numbers_from(one.life(), 2) == Items{1});
    cluster.settle();
    check_rules(cluster);
}

TEST_CASE(
    "a service that takes nothing from its socket stops its channel before much waits for it") {
    SwitchConfig config = small();
    config.retention_bytes_max = 400'000;
    config.retention_bytes_hard = 400'000;
    config.waiting_bytes_max = 4000;
    ToyCluster cluster(2, config, 1);
    ToyService& one = cluster.service(1, "a");
    ToyService& two = cluster.service(2, "a");
    cluster.connect(one);
    cluster.connect(two);
    cluster.form_rings({{1, 2}});
    cluster.settle();
    const auto shown = [&] { return cluster.switch_of(2).status().channels[0].services[0]; };
    std::size_t count = 0;
    while (cluster.submit(one, 200)) {
        cluster.run();
        cluster.acknowledge(one);
        REQUIRE(++count < 1000);
    }
    CHECK(one.window_bytes() == 0);
    CHECK(shown().retained_bytes > 4000);
    CHECK(shown().retained_bytes <= 6000);

    // What it has does not count, though it acknowledges nothing.
    while (one.window_bytes() == 0) {
        const std::size_t before = two.life().events.size();
        cluster.say(2, *two.connection(), two.receive());
        cluster.run();
        REQUIRE((one.window_bytes() > 0 || two.life().events.size() > before));
    }
    CHECK(shown().retained_bytes > 4000);
    CHECK(shown().in_flight_bytes <= 2000);
    cluster.settle();
    check_rules(cluster);
}

TEST_CASE("what a service has received makes room for more, and is kept") {
    ToyCluster cluster = formed(2);
    ToyService& one = cluster.service(1, "a");
    ToyService& two = cluster.service(2, "a");
    constexpr std::size_t kItems = 12;  // More than in_flight_bytes_max, too few to stop for.
    for (std::size_t i = 0; i < kItems; ++i) {
        REQUIRE(cluster.submit(one, 250));
        cluster.run();
        cluster.acknowledge(one);
    }
    const auto shown = [&] { return cluster.switch_of(2).status().channels[0].services[0]; };
    CHECK(numbers_from(two.life(), 1).size() < kItems);
    const std::size_t retained = shown().retained_bytes;

    while (numbers_from(two.life(), 1).size() < kItems) {
        const std::size_t before = two.life().events.size();
        cluster.say(2, *two.connection(), two.receive());
        REQUIRE(two.life().events.size() > before);
    }
    cluster.say(2, *two.connection(), two.receive());
    CHECK(shown().retained_bytes == retained);
    CHECK(shown().in_flight_bytes == 0);
    cluster.settle();
    CHECK(shown().retained_bytes == 0);
    check_rules(cluster);
}

TEST_CASE("what is urgent goes on in a channel that is stopped, also when the window is 0") {
    ToyCluster cluster = formed(2);
    ToyService& one = cluster.service(1, "a");
    ToyService& two = cluster.service(2, "a");
    while (cluster.submit(one, 200)) {
        cluster.run();
        cluster.acknowledge(one);
    }
    REQUIRE(one.window_bytes() == 0);
    REQUIRE(cluster.submit(one, 5000, true));
    const std::uint64_t urgent = one.life().submitted;
    cluster.run();
    while (numbers_from(two.life(), 1).back() != urgent) {
        const std::size_t before = two.life().events.size();
        cluster.say(2, *two.connection(), two.receive());
        REQUIRE(two.life().events.size() > before);
    }
    cluster.settle();
    check_rules(cluster);
}
