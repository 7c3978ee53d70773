// Which messages of a ring one member holds, exactly: all up to aru, and a bitmap beyond.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ringd/totem/seq.hpp"

namespace totem {

// Messages numbered and not yet held by all: bounds what members store and what a commit token
// carries for one of them (2 KiB).
inline constexpr std::uint64_t kUnstableSeqsMax = 16384;

struct Holdings {
    Seq aru{};                    // All up to here.
    Seq high{};                   // The highest held; at most aru + kUnstableSeqsMax.
    std::vector<std::byte> held;  // Bit i, from the lowest of byte 0 on: aru + 1 + i.

    [[nodiscard]] static std::size_t bitmap_bytes(Seq aru, Seq high) {
        return static_cast<std::size_t>((high.value() - aru.value() + 7) / 8);
    }
    [[nodiscard]] bool has(Seq seq) const {
        if (seq <= aru) return true;
        if (seq > high) return false;
        const std::uint64_t bit = seq.value() - aru.value() - 1;
        return (held[bit / 8] & std::byte{1} << static_cast<int>(bit % 8)) != std::byte{0};
    }
    // Needs: aru < seq <= high.
    void set(Seq seq) {
        const std::uint64_t bit = seq.value() - aru.value() - 1;
        held[bit / 8] |= std::byte{1} << static_cast<int>(bit % 8);
    }
    // One form for one meaning: aru is as high as it can be, high is held, no bit lies beyond it.
    [[nodiscard]] bool is_canonical() const {
        if (high < aru || high.value() - aru.value() > kUnstableSeqsMax) return false;
        if (held.size() != bitmap_bytes(aru, high)) return false;
        if (high == aru) return true;
        const std::uint64_t bits = high.value() - aru.value();
        const bool clean_end =
            bits % 8 == 0 || held.back() >> static_cast<int>(bits % 8) == std::byte{0};
        return clean_end && has(high) && !has(next(aru));
    }

    friend bool operator==(const Holdings&, const Holdings&) = default;
};

}  // namespace totem
