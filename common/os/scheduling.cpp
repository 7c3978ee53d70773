#include "common/os/scheduling.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <string>

#include "common/os/unique_fd.hpp"

namespace os {

bool set_real_time(pid_t pid, bool is_wanted) {
    const sched_param parameters{.sched_priority = is_wanted ? kRealTimePriority : 0};
    const int policy = is_wanted ? SCHED_RR : SCHED_OTHER;
    return ::sched_setscheduler(pid, policy | SCHED_RESET_ON_FORK, &parameters) == 0;
}

void prefer_own_session() {
    if (::getsid(0) != ::getpid()) return;
    const UniqueFd file(::open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC));
    if (!file.is_open()) return;
    const std::string nice = std::to_string(kDaemonNice);
    // Short or refused: it is as before.
    const ssize_t written = ::write(file.get(), nice.data(), nice.size());
    (void)written;
}

}  // namespace os
