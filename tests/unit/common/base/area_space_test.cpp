#include "common/base/area_space.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "common/base/prng.hpp"

using base::AreaSpace;

namespace {

struct Taken {
    std::size_t begin;
    std::size_t bytes;
};

}  // namespace

TEST_CASE("what is taken never overlaps, and all of it can be taken") {
    constexpr std::size_t kBytes = std::size_t{200} << 10u;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        CAPTURE(seed);
        base::Prng prng(seed);
        AreaSpace space(kBytes);
        std::vector<Taken> taken;
        std::size_t refused = 0;
        for (int step = 0; step < 3'000; ++step) {
            const std::size_t bytes = 1 + prng.below(seed % 2 == 0 ? kBytes : kBytes / 4);
            if (const auto at = space.take(bytes)) {
                REQUIRE(*at % AreaSpace::kGrainBytes == 0);
                REQUIRE(*at + bytes <= kBytes);
                for (const Taken& other : taken) {
                    REQUIRE((*at >= other.begin + other.bytes || *at + bytes <= other.begin));
                }
                taken.push_back({*at, bytes});
            } else {
                ++refused;
                REQUIRE_FALSE(taken.empty());
            }
            if (prng.below(2) == 0) continue;
            for (std::size_t count = prng.below(taken.size() + 1); count > 0; --count) {
                const auto which =
                    taken.begin() + static_cast<std::ptrdiff_t>(prng.below(taken.size()));
                space.release(which->begin, which->bytes);
                taken.erase(which);
            }
        }
        CHECK(refused > 0);
        for (const Taken& each : taken) {
            space.release(each.begin, each.bytes);
        }
        CHECK(space.taken_bytes() == 0);
        CHECK(space.take(kBytes) == 0);
        CHECK(space.take(1) == std::nullopt);
    }
}

TEST_CASE("what is taken lies where there is room at the lowest address") {
    constexpr std::size_t kGrain = AreaSpace::kGrainBytes;
    AreaSpace space(100 * kGrain + 1'000);
    CHECK(space.take(1) == 0);
    CHECK(space.take(3 * kGrain) == kGrain);
    CHECK(space.take(70 * kGrain) == 4 * kGrain);
    CHECK(space.taken_bytes() == 74 * kGrain);
    space.release(kGrain, 3 * kGrain);
    CHECK(space.take(3 * kGrain + 1) == 74 * kGrain);  // No room below.
    CHECK(space.take(2 * kGrain) == kGrain);
    CHECK(space.take(kGrain) == 3 * kGrain);
    CHECK(space.take(23 * kGrain) == std::nullopt);
    CHECK(space.take(22 * kGrain) == 78 * kGrain);
    CHECK(space.take(1) == std::nullopt);  // Not the rest that is no grain either.
}
