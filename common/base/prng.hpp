// The only randomness a core may hold: a seeded generator (SplitMix64, Steele, Lea, Flood 2014).
// The same seed gives the same numbers on every machine. Not for keys or nonces.
#pragma once

#include <cstdint>

#include "common/base/invariant.hpp"

namespace base {

class Prng {
  public:
    explicit constexpr Prng(std::uint64_t seed) : state_(seed) {}

    constexpr std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15u;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30u)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27u)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31u);
    }

    // 0 <= result < bound; bound > 0. The bias (bound / 2^64) is of no concern here.
    constexpr std::uint64_t below(std::uint64_t bound) {
        INVARIANT(bound > 0);
        return next() % bound;
    }

    template <class A>
    void archive(A& a) {
        a(state_);
    }

  private:
    std::uint64_t state_;
};

}  // namespace base
