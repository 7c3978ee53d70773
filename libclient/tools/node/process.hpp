// Starts one daemon with descriptors and environment of the socket activation protocol.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/os/error.hpp"
#include "common/os/identity.hpp"

namespace node {

// What an ordinary user may not give himself.
struct Limits {
    bool is_raised = false;    // RLIMIT_RTPRIO, RLIMIT_NICE, RLIMIT_MEMLOCK.
    bool real_time = false;    // It may ask us for it, where a container refuses the limit.
    int nice = 0;              // As setpriority(2) has it.
    bool net_buffers = false;  // CAP_NET_ADMIN, for socket buffers above the system's maximum.
};

struct Program {
    std::vector<std::string> arguments;                    // The first is the path of the program.
    std::vector<std::pair<std::string, int>> descriptors;  // Name and descriptor; the caller's.
    std::string notify_path;
    long watchdog_us = 0;                  // 0: none.
    std::string credentials_folder;        // $CREDENTIALS_DIRECTORY; empty: none.
    std::optional<os::Identity> identity;  // Become that user; else stay.
    Limits limits = {};
};

// Gives the process id. The child dies by SIGTERM when this process does.
os::Result<pid_t> start(const Program& program);

}  // namespace node
