#include "cpgd/driver/area_space.hpp"

#include <doctest/doctest.h>

#include <deque>

#include "common/base/prng.hpp"

using cpgd::AreaSpace;

TEST_CASE("what is taken never overlaps, and all of it can be taken") {
    constexpr std::size_t kBytes = std::size_t{64} << 10u;
    struct Taken {
        std::uint64_t event;
        std::size_t begin;
        std::size_t end;
    };
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        CAPTURE(seed);
        base::Prng prng(seed);
        AreaSpace space(kBytes);
        std::deque<Taken> taken;
        std::size_t refused = 0;
        std::uint64_t event = 0;
        for (int step = 0; step < 3'000; ++step) {
            const std::size_t bytes = 1 + prng.below(seed % 2 == 0 ? kBytes : kBytes / 10);
            if (const auto at = space.take(++event, bytes)) {
                REQUIRE(*at % AreaSpace::kAlignment == 0);
                REQUIRE(*at + bytes <= kBytes);
                for (const Taken& other : taken) {
                    REQUIRE((*at >= other.end || *at + bytes <= other.begin));
                }
                taken.push_back({event, *at, *at + bytes});
            } else {
                ++refused;
                REQUIRE_FALSE(taken.empty());
            }
            if (prng.below(2) == 0) continue;
            const std::size_t count = prng.below(taken.size() + 1);
            for (std::size_t i = 0; i < count; ++i) {
                space.release(taken.front().event);
                taken.pop_front();
            }
            REQUIRE(space.taken_events() == taken.size());
        }
        CHECK(refused > 0);
        space.release(event);
        CHECK(space.taken_bytes() == 0);
        CHECK(space.take(event + 1, kBytes) == 0);
    }
}

TEST_CASE("it begins anew at the lowest addresses as soon as there is room") {
    AreaSpace space(10'000);
    CHECK(space.take(1, 100) == 0);
    CHECK(space.take(2, 100) == 128);
    space.release(1);
    CHECK(space.take(3, 129) == 256);  // No room below.
    CHECK(space.take(4, 128) == 0);
    CHECK(space.take(5, 1) == std::nullopt);  // In the order of the events, not above again.
    space.release(2);
    CHECK(space.take(6, 128) == 128);
    space.release(UINT64_MAX);
    CHECK(space.take(7, 10'001) == std::nullopt);
    CHECK(space.take(8, 9'000) == 0);
}
