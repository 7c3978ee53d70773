// Numbers that nobody can guess or meet twice.
#pragma once

#include <sys/random.h>

#include <cstdint>

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

}  // namespace os
