#include "common/os/random.hpp"

#include <doctest/doctest.h>

#include <set>

TEST_CASE("random numbers are never 0 and none comes twice, over many refills") {
    os::RandomNumbers random;
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 1000; ++i) {
        seen.insert(random.next());
    }
    CHECK(seen.size() == 1000);
    CHECK_FALSE(seen.contains(0));
    os::RandomNumbers other;
    CHECK_FALSE(seen.contains(other.next()));
}
