// The one place that reads the clock for a core: monotonic, and it goes on while the host sleeps
// (CLOCK_BOOTTIME), so that a suspended host knows how long it was away.
#pragma once

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

}  // namespace os
