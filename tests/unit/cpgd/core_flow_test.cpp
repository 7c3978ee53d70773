// Flow control and bounds: what a slow, stuck or hostile client does, and what it does not.
#include <doctest/doctest.h>

#include "tests/unit/cpgd/toy_cluster.hpp"

namespace {

using namespace cpg_test;

cpg::Config small_bounds() {
    cpg::Config config;
    config.session.high_bytes = 4096;
    config.session.low_bytes = 1024;
    config.session.hard_bytes = std::size_t{64} << 10u;
    return config;
}

// A slow member on node 2 in group "a", a sender on node 1 in it, and two bystanders in group "b".
struct Scene {
    explicit Scene(const cpg::Config& config)
        : cluster({1, 2}, config),
          sender((cluster.partition({{1, 2}}), cluster.settle(), cluster.add_client(1, 10))),
          slow(cluster.add_client(2, 20)),
          other(cluster.add_client(1, 11)) {
        cluster.join(sender, "a");
        cluster.join(slow, "a");
        cluster.join(other, "b");
        cluster.settle();
        slow.acknowledges = false;
    }
    void send(ToyClient& from, int count) {
        for (int i = 0; i < count; ++i) {
            cluster.send(from, std::string(200, 'x'));
            cluster.settle();
        }
    }

    ToyCluster cluster;
    ToyClient& sender;
    ToyClient& slow;
    ToyClient& other;
};

}  // namespace

TEST_CASE("a slow member stops the senders of its group, and these alone") {
    Scene scene(small_bounds());
    const std::size_t open = scene.other.window;
    CHECK(open > 0);
    scene.send(scene.sender, 30);
    CHECK(scene.sender.window == 0);
    CHECK(scene.other.window == open);
    CHECK(scene.cluster.core(1).status().groups[0].stopped_by == std::vector{NodeId{2}});

    scene.cluster.acknowledge(scene.slow);
    scene.cluster.settle();
    CHECK(scene.sender.window == open);
    CHECK(scene.cluster.core(1).status().groups[0].stopped_by.empty());
    CHECK(scene.cluster.faults().empty());
}

TEST_CASE("a stopped group goes on when its slow member leaves") {
    Scene scene(small_bounds());
    scene.send(scene.sender, 30);
    REQUIRE(scene.sender.window == 0);
    scene.cluster.kill(scene.slow);
    scene.cluster.settle();
    CHECK(scene.sender.window > 0);
}

TEST_CASE("a member that takes nothing for the stuck time loses its session") {
    Scene scene(small_bounds());
    scene.send(scene.sender, 30);
    scene.cluster.advance(std::chrono::seconds{19});
    scene.cluster.settle();
    CHECK(scene.cluster.core(1).status().groups[0].members.size() == 2);
    scene.cluster.advance(std::chrono::seconds{2});
    scene.cluster.settle();
    CHECK(scene.cluster.core(1).status().groups[0].members.size() == 1);
    CHECK(scene.cluster.core(2).status().counters.sessions_stuck == 1);
    CHECK(scene.sender.window > 0);
}

TEST_CASE("a member that holds back less than the mark is never stuck") {
    Scene scene(small_bounds());
    scene.send(scene.sender, 5);
    scene.cluster.advance(std::chrono::hours{1});
    scene.cluster.settle();
    CHECK(scene.cluster.core(1).status().groups[0].members.size() == 2);
    CHECK(scene.sender.window > 0);
}

TEST_CASE("what a sender under way brings to a stuck member is bounded") {
    cpg::Config config = small_bounds();
    config.session.hard_bytes = std::size_t{64} << 10u;
    Scene scene(config);
    scene.send(scene.sender, 400);  // It does not look at its window.
    const cpg::Status status = scene.cluster.core(2).status();
    CHECK(status.counters.sessions_overflowed == 1);
    CHECK(status.sessions.empty());
    CHECK(scene.cluster.core(1).status().groups[0].members.size() == 1);
}

TEST_CASE("a sender that goes on for long after it was stopped loses its session") {
    cpg::Config config = small_bounds();
    config.session.hard_bytes = std::size_t{64} << 20u;
    Scene scene(config);
    const auto big = std::string(std::size_t{500} << 10u, 'x');
    for (int i = 0; i < 60 && scene.sender.is_welcome; ++i) {
        scene.cluster.send(scene.sender, big);
        scene.cluster.settle();
    }
    CHECK_FALSE(scene.sender.is_welcome);
    CHECK(scene.cluster.core(1).status().counters.protocol_errors == 1);
    CHECK(scene.cluster.core(2).status().sessions.size() == 1);
}

TEST_CASE("what clients sent waits while the channel has no room") {
    Scene scene({});
    scene.cluster.room = 0;
    scene.cluster.send(scene.sender, "first");
    scene.cluster.settle();
    scene.slow.received.clear();
    CHECK(scene.slow.received.empty());
    scene.cluster.room = std::size_t{1} << 20u;
    scene.cluster.send(scene.sender, "second");
    scene.cluster.settle();
    CHECK(scene.sender.received.size() == 2);
}

TEST_CASE("a session that breaks the protocol ends, and the others go on") {
    Scene scene({});
    scene.sender.next_number += 7;  // A gap in its numbers.
    scene.cluster.send(scene.sender, "out of order");
    scene.cluster.settle();
    CHECK_FALSE(scene.sender.is_welcome);
    CHECK(scene.cluster.core(1).status().counters.protocol_errors == 1);
    CHECK(scene.cluster.core(2).status().groups[0].members.size() == 1);
    scene.send(scene.other, 1);
    CHECK(scene.other.received.size() == 1);
}

TEST_CASE("a small payload of a large batch does not keep the batch alive in a slow queue") {
    Scene scene({});
    cpg::SessionStatus status;
    for (int i = 0; i < 100; ++i) {
        // One small message for "a" in a batch full of others for "b".
        for (int j = 0; j < 2; ++j) {
            scene.cluster.send(scene.other, std::string(std::size_t{100} << 10u, 'y'));
        }
        scene.cluster.send(scene.sender, "s");
        scene.cluster.settle();
    }
    for (const auto& session : scene.cluster.core(2).status().sessions) {
        if (session.pid == 20) status = session;
    }
    CHECK(status.queued_bytes < 64 * 1024);
    CHECK(status.held_bytes <= 2 * status.queued_bytes + (std::size_t{4} << 20u));
    CHECK(status.held_bytes > 0);
}
