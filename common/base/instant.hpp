// Protocol time. It has no now(), so that a core can't read a clock: callers say the time.
#pragma once

#include <chrono>

namespace base {

struct LogicalClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<LogicalClock, duration>;
    static constexpr bool is_steady = true;
};
using Instant = LogicalClock::time_point;
using Duration = LogicalClock::duration;

}  // namespace base
