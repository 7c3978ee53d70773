// How ringd asks the kernel to be scheduled: before ordinary processes, and with real-time priority
// while that is not enough. Real-time priority all the time costs more than it gives: the kernel
// moves a woken real-time process to another processor rather than let it wait for one that runs,
// and a wake-up across processors costs ten times one on the same (docs/performance.md).
#pragma once

#include <optional>

#include "common/base/instant.hpp"
#include "common/config/cluster_config.hpp"
#include "common/log/log.hpp"

namespace ringd {

// Decides by how late the process runs. No clock, no system call.
class LatenessRule {
  public:
    // Later than this is urgent: well below the silence after which others give a node up
    // (halo.silence_min, 600 ms), and far above what a busy moment of its own costs.
    static constexpr base::Duration kLateMin = std::chrono::milliseconds(50);
    // It stays urgent for the first of these after it was late last, and for twice as long each
    // time that it is late again soon after.
    static constexpr base::Duration kHoldMin = std::chrono::seconds(10);
    static constexpr base::Duration kHoldMax = std::chrono::minutes(10);

    // The process ran `late` after the time that it had asked for. True: it became urgent.
    bool ran(base::Instant now, base::Duration late);
    // True: it is urgent no longer.
    bool pass_deadline(base::Instant now);
    [[nodiscard]] bool is_urgent() const { return until_.has_value(); }
    [[nodiscard]] std::optional<base::Instant> next_deadline() const { return until_; }

  private:
    std::optional<base::Instant> until_;
    std::optional<base::Instant> ended_;
    base::Duration hold_ = kHoldMin;
};

// Applies it to the thread that calls. Not for several threads.
class Priority {
  public:
    Priority(config::RealTime use, logging::Log& log) : use_(use), log_(log) {}

    // To be called at the start, as long as the process may all that its starter gave it: finds out
    // what it may later (RLIMIT_RTPRIO, RLIMIT_NICE), and warns of what it lacks.
    void take();
    void ran(base::Instant now, base::Duration late);
    void pass_deadline(base::Instant now);
    [[nodiscard]] std::optional<base::Instant> next_deadline() const {
        return rule_.next_deadline();
    }

    struct Status {
        bool is_real_time = false;
        bool can_change = false;
        int nice = 0;
        std::uint64_t times_late = 0;
        base::Duration last_late{};
    };
    [[nodiscard]] Status status() const;

  private:
    bool change_to(bool is_real_time);
    void use_real_time(bool is_wanted);

    config::RealTime use_;
    logging::Log& log_;
    LatenessRule rule_;
    // How it comes to another priority: never, by itself (RLIMIT_RTPRIO), or by asking the one that
    // started it.
    enum class Means { None, Own, Asking };
    Means means_ = Means::None;
    std::uint64_t times_late_ = 0;
    base::Duration last_late_{};
};

}  // namespace ringd
