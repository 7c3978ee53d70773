// What the commands that use libhalo share.
#pragma once

#include <halo/result.hpp>

#include "common/os/unique_fd.hpp"

namespace haloctl {

// The exit code (exit_codes.hpp) of a command that libhalo refused.
[[nodiscard]] int exit_code_of(halo::Error error);

// TERM and INT as a descriptor, so that groups are left in order and not by dying.
[[nodiscard]] os::UniqueFd stop_signals();

}  // namespace haloctl
