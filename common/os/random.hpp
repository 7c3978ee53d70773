// Numbers that nobody can guess or meet twice.
#pragma once

#include <sys/random.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "common/base/invariant.hpp"

namespace os {

// Never 0.
inline std::uint64_t random_number() {
    std::uint64_t number = 0;
    while (number == 0) {
        // 8 bytes come whole once the kernel is seeded, which it is long before daemons start.
        INVARIANT(::getrandom(&number, sizeof(number), 0) == sizeof(number));
    }
    return number;
}

// The same for who needs many: a system call for 32 of them. Not across a fork().
class RandomNumbers {
  public:
    // Never 0.
    [[nodiscard]] std::uint64_t next() {
        std::uint64_t number = 0;
        while (number == 0) {
            if (used_ == numbers_.size()) refill();
            number = std::exchange(numbers_[used_++], 0);
        }
        return number;
    }

  private:
    void refill() {
        // Up to 256 bytes come whole, as above.
        INVARIANT(::getrandom(numbers_.data(), sizeof(numbers_), 0) == sizeof(numbers_));
        used_ = 0;
    }

    std::array<std::uint64_t, 32> numbers_{};
    std::size_t used_ = numbers_.size();
};

}  // namespace os
