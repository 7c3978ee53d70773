// The size of packets follows what comes through, not only what the kernel says.
#include "ringd/transport/path_size.hpp"

#include <doctest/doctest.h>

#include <chrono>

using base::Duration;
using base::Instant;
using transport::PathSize;

namespace {

// Runs the path for `length`, in which packets above `carries` vanish; gives the probes sent.
int run(PathSize& path, Instant& now, Duration length, std::size_t carries, bool answers = true) {
    int probes = 0;
    const Instant end = now + length;
    while (path.due() <= end) {
        now = std::max(now, path.due());
        const auto probe = path.tick(now);
        CHECK(path.due() > now);
        if (!probe) continue;
        ++probes;
        if (answers && probe->small <= carries) path.answered(probe->small);
        if (answers && probe->large <= carries) path.answered(probe->large);
    }
    now = end;
    return probes;
}

}  // namespace

TEST_CASE("the size is the smallest of kernel, limit and jumbo frame") {
    PathSize path;
    CHECK_FALSE(path.mtu().has_value());
    path.learn(1500, 0);
    CHECK(path.mtu() == 1500);
    path.learn(65536, 0);
    CHECK(path.mtu() == 9000);
    path.learn(65536, 65000);
    CHECK(path.mtu() == 65000);
    path.learn(1500, 1300);
    CHECK(path.mtu() == 1300);
    path.learn(std::nullopt, 1300);  // The route went away: what was known holds.
    CHECK(path.mtu() == 1300);
}

TEST_CASE("a path that carries what it says is asked once in half a minute") {
    PathSize path;
    path.learn(1500, 0);
    Instant now{};
    const int probes = run(path, now, std::chrono::minutes(10), 1500);
    CHECK(probes >= 18);
    CHECK(probes <= 22);
    CHECK(path.mtu() == 1500);
}

TEST_CASE("a black hole is found within seconds, and its end is noticed") {
    PathSize path;
    path.learn(9000, 0);
    Instant now{};
    run(path, now, std::chrono::seconds(10), 1450);
    CHECK(path.mtu() == 1450);
    run(path, now, std::chrono::minutes(5), 1450);
    CHECK(path.mtu() == 1450);
    run(path, now, std::chrono::minutes(2), 9000);
    CHECK(path.mtu() == 9000);
    // And it can come again.
    run(path, now, std::chrono::minutes(2), 1400);
    CHECK(path.mtu() == 1400);
}

TEST_CASE("a silent peer is no black hole, and is asked ever more rarely") {
    PathSize path;
    path.learn(1500, 0);
    Instant now{};
    const int probes = run(path, now, std::chrono::minutes(10), 1500, false);
    CHECK(path.mtu() == 1500);
    CHECK(probes < 35);
}

TEST_CASE("a changed route deserves its full size") {
    PathSize path;
    path.learn(1500, 0);
    Instant now{};
    run(path, now, std::chrono::seconds(10), 1300);
    CHECK(path.mtu() == 1280);
    path.learn(1400, 0);
    CHECK(path.mtu() == 1400);
    CHECK(path.due() <= now);
}
