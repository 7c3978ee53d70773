// The end of every daemon's start: from here on it can do its work and nothing else.
#pragma once

#include <span>

#include "common/daemon/start.hpp"

namespace daemon_start {

struct Needs {
    bool network = false;                     // Sockets of the Internet and of netlink.
    bool real_time = false;                   // Real-time priority now and then.
    bool secret = false;                      // Holds the cluster's key: no core dumps.
    std::span<const char* const> calls = {};  // System calls beside os::common_calls().
};

// Gives up all capabilities, new privileges and, unless halo.sandbox is off, system calls. To be
// called when all that takes a capability is done and before the first thread. False: half of it
// was done, and said; end.
[[nodiscard]] bool confine(Started& started, const Needs& needs);

}  // namespace daemon_start
