// At most one line in a while for each peer (or client, or file): whoever sends garbage cannot fill
// the log. One object a call site:
//
//     if (const auto suppressed = garbage_limit_.admit(now, peer.value()))
//         log.warning("dropping packets that do not decrypt",
//                     {{"PEER", peer.value()}, {"SUPPRESSED", *suppressed}});
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "common/base/instant.hpp"

namespace logging {

class RateLimit {
  public:
    // Subjects kept apart; beyond that they share one allowance, so that made-up subjects cost no
    // memory. Twice the largest cluster that is tested.
    static constexpr std::size_t kSubjectsMax = 1024;

    explicit RateLimit(base::Duration interval = std::chrono::seconds{1}) : interval_(interval) {}

    // Whether a line about `subject` may be written at `now`: then how many were suppressed since
    // the last one, else nothing.
    std::optional<std::uint64_t> admit(base::Instant now, std::uint64_t subject = 0) {
        const bool is_known = subjects_.contains(subject);
        State& state = is_known || subjects_.size() < kSubjectsMax ? subjects_[subject] : overflow_;
        if (state.last && now - *state.last < interval_) {
            ++state.suppressed;
            return std::nullopt;
        }
        state.last = now;
        return std::exchange(state.suppressed, 0);
    }

  private:
    struct State {
        std::optional<base::Instant> last;
        std::uint64_t suppressed = 0;
    };

    base::Duration interval_;
    std::map<std::uint64_t, State> subjects_;
    State overflow_;
};

}  // namespace logging
