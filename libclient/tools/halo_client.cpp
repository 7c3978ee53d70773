#include "libclient/tools/halo_client.hpp"

#include <sys/signalfd.h>

#include <csignal>

#include "libclient/tools/exit_codes.hpp"

namespace haloctl {

int exit_code_of(halo::Error error) {
    switch (error) {
        case halo::Error::Lost:
            return kNotRunning;
        case halo::Error::Access:
            return kNoPermission;
        case halo::Error::TryAgain:
            return kNoAnswer;
        default:
            return kFailed;
    }
}

os::UniqueFd stop_signals() {
    sigset_t set;
    (void)::sigemptyset(&set);  // These three fail for signals that do not exist only.
    (void)::sigaddset(&set, SIGINT);
    (void)::sigaddset(&set, SIGTERM);
    (void)::sigprocmask(SIG_BLOCK, &set, nullptr);
    return os::UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace haloctl
