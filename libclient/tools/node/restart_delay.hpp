// How long a daemon that died waits before it is started again.
#pragma once

#include <algorithm>

#include "common/base/instant.hpp"

namespace node {

// The first restart comes at once: peers count on a ringd that is back within the token's time-out.
// One that dies again and again waits longer each time, so that it neither eats the host nor floods
// the log.
class RestartDelay {
  public:
    static constexpr base::Duration kFirst = std::chrono::milliseconds{100};
    static constexpr base::Duration kLongest = std::chrono::seconds{5};
    // Alive for this long, it has proven itself, and the next death is a first one again.
    static constexpr base::Duration kProven = std::chrono::seconds{10};

    // The delay after a death at the end of a life of `lived`.
    base::Duration after(base::Duration lived) {
        if (lived >= kProven) next_ = base::Duration::zero();
        const base::Duration delay = next_;
        next_ = delay == base::Duration::zero() ? kFirst : std::min(delay * 2, kLongest);
        return delay;
    }

  private:
    base::Duration next_{};
};

}  // namespace node
