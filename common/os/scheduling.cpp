#include "common/os/scheduling.hpp"

#include <sched.h>

namespace os {

bool set_real_time(pid_t pid, bool is_wanted) {
    const sched_param parameters{.sched_priority = is_wanted ? kRealTimePriority : 0};
    const int policy = is_wanted ? SCHED_RR : SCHED_OTHER;
    return ::sched_setscheduler(pid, policy | SCHED_RESET_ON_FORK, &parameters) == 0;
}

}  // namespace os
