// Each counter once, in any order within the window.
#include "ringd/transport/replay_window.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "common/base/prng.hpp"

using transport::ReplayWindow;

constexpr std::uint64_t kWindow = ReplayWindow::kReplayWindow;

TEST_CASE("the window agrees with a set of all counters seen") {
    for (const std::uint64_t spread : {std::uint64_t{70}, std::uint64_t{1000}, 3 * kWindow}) {
        base::Prng random(spread);
        ReplayWindow window;
        std::set<std::uint64_t> seen;
        std::uint64_t base = 1'000'000;
        for (int i = 0; i < 20000; ++i) {
            base += random.below(3);
            const std::uint64_t counter = base + random.below(spread);
            const bool too_old = !seen.empty() && *seen.rbegin() >= counter + kWindow;
            const bool fresh = !too_old && !seen.contains(counter);
            CHECK(window.accept(counter) == fresh);
            if (fresh) seen.insert(counter);
        }
    }
}

TEST_CASE("a window that begins after a counter takes none up to there and each one later") {
    for (const std::uint64_t last : {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{64},
                                     std::uint64_t{1'000'063}, 7 * kWindow, UINT64_MAX - kWindow}) {
        ReplayWindow window;
        window.begin_after(last);
        CHECK(window.highest() == last);
        for (std::uint64_t back = 0; back <= std::min(last, kWindow + 200); ++back) {
            CHECK_FALSE(window.accept(last - back));
        }
        for (std::uint64_t on = 200; on > 0; --on) {
            CHECK(window.accept(last + on));
            CHECK_FALSE(window.accept(last + on));
        }
        CHECK(window.accept(last + kWindow));
        CHECK_FALSE(window.accept(last));
    }
}

TEST_CASE("the edges of the window") {
    ReplayWindow window;
    CHECK(window.accept(10 * kWindow));
    CHECK_FALSE(window.accept(10 * kWindow));
    CHECK(window.accept(9 * kWindow + 1));
    CHECK_FALSE(window.accept(9 * kWindow + 1));
    CHECK_FALSE(window.accept(9 * kWindow));
    CHECK(window.accept(UINT64_MAX));
    CHECK_FALSE(window.accept(UINT64_MAX));
    CHECK(window.accept(UINT64_MAX - kWindow + 1));
    CHECK_FALSE(window.accept(10 * kWindow + 1));
}
