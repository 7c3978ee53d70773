// Gives up what a daemon does not need once its sockets and files are open: user, capabilities, new
// privileges, and all system calls but those that it names.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/os/error.hpp"

namespace os {

struct SandboxSettings {
    std::string user;   // Become this user, when root and the user exists; empty: stay.
    std::string group;  // With this group; empty: the user's own.
    // Names of system calls, beside common_calls(). Empty: no filter.
    std::span<const char* const> calls;
    // A call that is not allowed: true ends the process (and dumps core), false gives EPERM.
    bool kills = true;
};

struct Sandboxed {
    bool is_user_dropped = false;
    bool has_no_capabilities = false;
    bool has_filter = false;
    // What could not be done, one sentence each, for a warning in the log. The daemon goes on.
    std::vector<std::string> degraded;
};

// Drops in this order: bounding set, user and groups, capabilities, no-new-privileges, filter. User
// and filter apply to all threads of the process; capabilities and no-new-privileges to the
// caller's and those that it starts later.
//
// An error means half a drop, which is worse than none: end the process.
Result<Sandboxed> enter_sandbox(const SandboxSettings& settings);

// What every daemon's loop, log, timers, memory and libzmq need.
[[nodiscard]] std::span<const char* const> common_calls();

}  // namespace os
