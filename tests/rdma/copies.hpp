// Counts the copies of this process, its libraries' among them: for tests of what is said to be
// copied by nobody.
#pragma once

#include <cstddef>

namespace copies {

// Copies of fewer bytes are of no interest: what is moved are packets.
inline constexpr std::size_t kBytesMin = 512;

// Of one thread's life in which copies count; they nest.
class Counted {
  public:
    Counted() { ++depth; }
    ~Counted() { --depth; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

    static inline int depth = 0;
};

// memcpy and memmove of at least kBytesMin bytes so far, while a Counted lived.
[[nodiscard]] std::size_t made();

// Whether this program can count: not where a sanitizer has these functions.
[[nodiscard]] bool are_counted();

}  // namespace copies
