// The one place that reads the clock for a core: monotonic, and it goes on while the host sleeps
// (CLOCK_BOOTTIME), so that a suspended host knows how long it was away.
#pragma once

#include <cstdint>
#include <ctime>

#include "common/base/instant.hpp"

namespace os {

inline base::Instant now() {
    timespec time{};
    // CLOCK_BOOTTIME exists on every kernel that we run on, and the pointer is good: no failure.
    (void)::clock_gettime(CLOCK_BOOTTIME, &time);
    return base::Instant{std::chrono::seconds{time.tv_sec} +
                         std::chrono::nanoseconds{time.tv_nsec}};
}

// Time since the epoch (CLOCK_REALTIME), in ns. It may jump: for names of lives and files, never
// for waiting.
inline std::uint64_t epoch_ns() {
    timespec time{};
    (void)::clock_gettime(CLOCK_REALTIME, &time);  // As above.
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace os
