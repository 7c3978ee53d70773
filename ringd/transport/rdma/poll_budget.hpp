// How long to look for the next completion before sleeping. On a busy link the next packet comes
// sooner than a sleeping process wakes up, and looking a little longer saves the wake-up; on a
// quiet one, or where cores are shared, looking only burns time. So it is tried, and goes on for as
// long as it pays.
#pragma once

#include <cstdint>

#include "common/base/instant.hpp"

namespace transport {

class PollBudget {
  public:
    // Never looks longer than `max`; zero: never looks at all.
    explicit PollBudget(base::Duration max) : max_(max) {}

    // The time to look now, or zero. Tell the outcome with came() or did_not_come() when not zero.
    [[nodiscard]] base::Duration next();
    void came() { score_ += (kScoreMax - score_ + 7) / 8; }
    void did_not_come() { score_ -= (score_ + 7) / 8; }

  private:
    // A moving share of the times that paid, in 1/256.
    static constexpr std::uint32_t kScoreMax = 255;
    // Below a half a wake-up is the cheaper way, but for one try in so many.
    static constexpr std::uint32_t kWorthwhile = 128;
    static constexpr std::uint32_t kTryEvery = 64;

    base::Duration max_;
    std::uint32_t score_ = kWorthwhile;
    std::uint32_t skipped_ = 0;
};

}  // namespace transport
