// Draws from a seed. Each part of the simulator has a Random of its own, so that leaving out a
// fault does not change what the workload does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/instant.hpp"
#include "common/base/prng.hpp"

namespace sim {

// A probability in parts per million.
using Ppm = std::uint32_t;
inline constexpr Ppm kAlways = 1'000'000;

class Random {
  public:
    Random(std::uint64_t seed, std::uint64_t stream)
        : prng_(base::Prng(seed).next() ^ (stream * 0xd1342543de82ef95u)) {}

    std::uint64_t next() { return prng_.next(); }
    std::uint64_t below(std::uint64_t bound) { return prng_.below(bound); }
    // low <= result <= high.
    std::uint64_t between(std::uint64_t low, std::uint64_t high) {
        return low + below(high - low + 1);
    }
    std::size_t index(std::size_t size) { return static_cast<std::size_t>(below(size)); }
    base::Duration between(base::Duration low, base::Duration high) {
        const auto span = static_cast<std::uint64_t>((high - low).count());
        return low + base::Duration(static_cast<std::int64_t>(below(span + 1)));
    }
    bool chance(Ppm ppm) { return ppm != 0 && below(kAlways) < ppm; }
    template <class T>
    const T& pick(std::span<const T> choices) {
        return choices[index(choices.size())];
    }

  private:
    base::Prng prng_;
};

}  // namespace sim
