// How a daemon of ours asks the kernel to be scheduled.
#pragma once

#include <sys/types.h>

namespace os {

// Before ordinary programs (setpriority(2)).
inline constexpr int kDaemonNice = -10;
// Above everything ordinary, below the kernel's own threads and watchdogs. RLIMIT_RTPRIO 1 is all
// that it takes.
inline constexpr int kRealTimePriority = 1;

// SCHED_RR at kRealTimePriority, or the ordinary policy with the niceness that it has, of the first
// thread of process `pid`; 0: of the calling thread. Threads that it starts later begin without
// its priority (SCHED_RESET_ON_FORK: without privilege that can be set and not taken back). False:
// refused, errno says why.
bool set_real_time(pid_t pid, bool is_wanted);

// Where the kernel shares the processors among sessions first (sched(7), autogroup), niceness
// counts within a session alone: kDaemonNice for the whole of ours. Only who leads a session asks,
// as a service of systemd does; a session of somebody else is his. Refused (RLIMIT_NICE), or a
// kernel without it: nothing changes.
void prefer_own_session();

}  // namespace os
