// Gives up what a daemon does not need once it is started: capabilities, new privileges, and all
// system calls but those that it names. Who the daemon is (its user) is decided by who starts it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/os/error.hpp"

namespace os {

struct SandboxSettings {
    bool has_filter = true;         // False: all system calls stay.
    bool may_be_real_time = false;  // SCHED_RR and back, always with SCHED_RESET_ON_FORK.
    bool has_network = false;  // Sockets of the Internet and of netlink; else UNIX sockets only.
    // Names of system calls, beside common_calls().
    std::span<const char* const> calls = {};
    // A call that is not allowed: true ends the process (and dumps core), false gives EPERM.
    bool kills = false;
};

struct Sandboxed {
    bool has_filter = false;
    // What could not be done, one sentence each, for a warning in the log. The daemon goes on.
    std::vector<std::string> degraded;
};

// Drops in this order: bounding set, capabilities, no-new-privileges, filter. The filter applies to
// all threads of the process; capabilities to the caller's and those that it starts later, so call
// it before the first thread.
//
// An error means half a drop, which is worse than none: end the process.
Result<Sandboxed> enter_sandbox(const SandboxSettings& settings);

// What every daemon's loop, log, timers, memory, files and libzmq need. No process is started, none
// is signalled, nothing is mounted, traced or executed.
[[nodiscard]] std::span<const char* const> common_calls();

// The process and its memory are no business of other processes of its user: no core dump, no
// debugger but root's. For who holds a key.
void keep_memory_private();

}  // namespace os
