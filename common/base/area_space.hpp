// Which places of an area are taken. Arithmetic only.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/invariant.hpp"

namespace base {

// A place is taken where there is room at the lowest address, and may be given back at any time. So
// little traffic touches few pages, and they are in a cache.
class AreaSpace {
  public:
    // Places are multiples of this.
    static constexpr std::size_t kGrainBytes = 1024;

    // A rest of `bytes` that is no grain is not used.
    explicit AreaSpace(std::size_t bytes)
        : grains_(bytes / kGrainBytes), taken_((grains_ + kWordBits - 1) / kWordBits) {}

    // Where the room begins; nothing: there is none. Needs: bytes > 0.
    [[nodiscard]] std::optional<std::size_t> take(std::size_t bytes) {
        INVARIANT(bytes > 0);
        const std::size_t wanted = grains_of(bytes);
        std::size_t begin = 0;
        for (;;) {
            begin = next(begin, false);
            if (begin >= grains_ || grains_ - begin < wanted) return std::nullopt;
            const std::size_t end = next(begin, true);
            if (end - begin >= wanted) break;
            begin = end;
        }
        set(begin, wanted, true);
        taken_grains_ += wanted;
        return begin * kGrainBytes;
    }

    // Needs: take(bytes) gave `begin`.
    void release(std::size_t begin, std::size_t bytes) {
        const std::size_t count = grains_of(bytes);
        INVARIANT(count <= taken_grains_);
        set(begin / kGrainBytes, count, false);
        taken_grains_ -= count;
    }

    [[nodiscard]] std::size_t taken_bytes() const { return taken_grains_ * kGrainBytes; }

  private:
    static constexpr std::size_t kWordBits = 64;

    [[nodiscard]] static std::size_t grains_of(std::size_t bytes) {
        return bytes / kGrainBytes + (bytes % kGrainBytes == 0 ? 0 : 1);
    }

    // The first grain from `grain` on that is taken, or that is not; grains_: none.
    [[nodiscard]] std::size_t next(std::size_t grain, bool taken) const {
        while (grain < grains_) {
            const std::uint64_t word = taken_[grain / kWordBits];
            const std::uint64_t wanted = (taken ? word : ~word) >> (grain % kWordBits);
            if (wanted != 0) {
                const auto skipped = static_cast<std::size_t>(std::countr_zero(wanted));
                return grain + skipped < grains_ ? grain + skipped : grains_;
            }
            grain += kWordBits - grain % kWordBits;
        }
        return grains_;
    }

    void set(std::size_t begin, std::size_t count, bool taken) {
        for (std::size_t grain = begin; grain < begin + count;) {
            const std::size_t bit = grain % kWordBits;
            const std::size_t bits = std::min(kWordBits - bit, begin + count - grain);
            const std::uint64_t ones = ~std::uint64_t{0} >> (kWordBits - bits);
            std::uint64_t& word = taken_[grain / kWordBits];
            INVARIANT((word & (ones << bit)) == (taken ? 0 : ones << bit));
            word ^= ones << bit;
            grain += bits;
        }
    }

    std::size_t grains_;
    std::size_t taken_grains_ = 0;
    std::vector<std::uint64_t> taken_;  // A bit for each grain.
};

}  // namespace base
