// Starts one daemon with descriptors and environment of the socket activation protocol.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "common/os/error.hpp"

namespace node {

struct Program {
    std::vector<std::string> arguments;                    // The first is the path of the program.
    std::vector<std::pair<std::string, int>> descriptors;  // Name and descriptor; the caller's.
    std::string notify_path;
    long watchdog_us = 0;  // 0: none.
};

// Gives the process id. The child dies by SIGTERM when this process does.
os::Result<pid_t> start(const Program& program);

}  // namespace node
