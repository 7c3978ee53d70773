#include "ringd/priority.hpp"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "common/os/notify.hpp"
#include "common/os/scheduling.hpp"

namespace ringd {
namespace {

bool is_real_time_now() {
    return (::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) == SCHED_RR;
}

int own_nice() {
    return ::getpriority(PRIO_PROCESS, 0);
}

// What the process may without a capability (getrlimit(2)).
bool may_be_real_time() {
    rlimit limit{};
    return ::getrlimit(RLIMIT_RTPRIO, &limit) == 0 && limit.rlim_cur >= os::kRealTimePriority;
}

}  // namespace

bool LatenessRule::ran(base::Instant now, base::Duration late) {
    if (late < kLateMin) return false;
    const bool was_urgent = until_.has_value();
    if (!was_urgent) {
        const bool is_soon = ended_ && now - *ended_ < hold_;
        hold_ = is_soon ? std::min(2 * hold_, kHoldMax) : kHoldMin;
    }
    until_ = now + hold_;
    return !was_urgent;
}

bool LatenessRule::pass_deadline(base::Instant now) {
    if (!until_ || now < *until_) return false;
    ended_ = now;
    until_.reset();
    return true;
}

void Priority::take() {
    const bool is_nice = ::setpriority(PRIO_PROCESS, 0, os::kDaemonNice) == 0;
    if (use_ == config::RealTime::Never) return;
    const bool may_ask = std::getenv(os::kAskPriority) != nullptr;
    // Who started us may have given it already.
    if (!may_ask && !is_real_time_now() && !os::set_real_time(0, true)) {
        const int reason = errno;
        log_.warning(
            "no real-time priority, going on without",
            {{"ERROR", std::strerror(reason)}, {"NICE", is_nice ? os::kDaemonNice : own_nice()}});
        return;
    }
    means_ = may_ask ? Means::Asking : may_be_real_time() ? Means::Own : Means::None;
    if (use_ == config::RealTime::Always) {
        (void)change_to(true);
        means_ = Means::None;
    } else if (means_ == Means::Own) {
        (void)change_to(false);
    }
    // Without means: given by who started us, never to be had again once given up. It is kept.
}

void Priority::ran(base::Instant now, base::Duration late) {
    if (late < LatenessRule::kLateMin) return;
    ++times_late_;
    last_late_ = late;
    if (means_ != Means::None && rule_.ran(now, late)) use_real_time(true);
}

void Priority::pass_deadline(base::Instant now) {
    if (rule_.pass_deadline(now)) use_real_time(false);
}

bool Priority::change_to(bool is_real_time) {
    if (means_ != Means::Asking) return os::set_real_time(0, is_real_time);
    os::ask_real_time(is_real_time);
    return true;
}

void Priority::use_real_time(bool is_wanted) {
    if (!change_to(is_wanted)) {
        log_.warning("cannot change the priority, staying as it is",
                     {{"ERROR", std::strerror(errno)}});
        means_ = Means::None;
        return;
    }
    if (is_wanted) {
        const auto late = std::chrono::floor<std::chrono::milliseconds>(last_late_);
        log_.notice("ran late, taking real-time priority", {{"LATE_MS", late.count()}});
    } else {
        log_.info("runs in time, ordinary priority again");
    }
}

Priority::Status Priority::status() const {
    return {.is_real_time = is_real_time_now(),
            .can_change = means_ != Means::None,
            .nice = own_nice(),
            .times_late = times_late_,
            .last_late = last_late_};
}

}  // namespace ringd
