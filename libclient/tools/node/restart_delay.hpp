// How long a daemon that died waits before it is started again.
#pragma once

#include <algorithm>

#include "common/base/instant.hpp"

namespace node {

// A daemon that was at work is back at once, however often it is killed: its clients wait for it.
// One that dies before it is ready, again and again, waits longer each time, so that it neither
// eats the host nor floods the log.
class RestartDelay {
  public:
    static constexpr base::Duration kFirst = std::chrono::milliseconds{100};
    static constexpr base::Duration kLongest = std::chrono::seconds{5};
    // The delay after a death; `was_ready`: it had taken up its work.
    base::Duration after(bool was_ready) {
        if (was_ready) next_ = base::Duration::zero();
        const base::Duration delay = next_;
        next_ = delay == base::Duration::zero() ? kFirst : std::min(delay * 2, kLongest);
        return delay;
    }

  private:
    base::Duration next_{};
};

}  // namespace node
