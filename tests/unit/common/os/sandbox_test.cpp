#include "common/os/sandbox.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace {

// What a step in a child process ended with. A sandbox is for ever: this process must not enter it.
template <class Step>
int status_of_child(Step step) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) ::_exit(step());
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return status;
}

template <class Step>
int exit_code_of_child(Step step) {
    const int status = status_of_child(step);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

bool has_any_capability() {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
    if (::syscall(SYS_capget, &header, sets.data()) != 0) return true;
    for (const auto& set : sets) {
        if (set.effective != 0 || set.permitted != 0 || set.inheritable != 0) return true;
    }
    return false;
}

constexpr std::array kNoCalls{"getpid"};

}  // namespace

TEST_CASE("user, groups and capabilities are gone for good") {
    if (::geteuid() != 0) return;  // Only root has them.
    const passwd* nobody = ::getpwnam("nobody");
    REQUIRE(nobody != nullptr);
    const uid_t uid = nobody->pw_uid;
    const int code = exit_code_of_child([uid] {
        (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
        const auto entered = os::enter_sandbox({.user = "nobody", .group = {}, .calls = {}});
        if (!entered || !entered->is_user_dropped || !entered->has_no_capabilities) return 1;
        if (!entered->degraded.empty()) return 2;
        if (::geteuid() != uid || ::getuid() != uid || ::getgroups(0, nullptr) != 0) return 3;
        if (has_any_capability() || ::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) != 0) return 4;
        if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 5;
        int signal = 0;
        if (::prctl(PR_GET_PDEATHSIG, &signal) != 0 || signal != SIGTERM) return 6;
        return ::setuid(0) == 0 ? 7 : 0;
    });
    CHECK(code == 0);
}

TEST_CASE("a user who does not exist is told, and the daemon goes on") {
    if (::geteuid() != 0) return;
    const int code = exit_code_of_child([] {
        const auto entered = os::enter_sandbox({.user = "no-such-user", .group = {}, .calls = {}});
        if (!entered || entered->is_user_dropped || entered->degraded.empty()) return 1;
        return entered->degraded[0] == "still root: there is no user 'no-such-user'" ? 0 : 2;
    });
    CHECK(code == 0);
}

TEST_CASE("a system call that is not allowed ends the process") {
    const int status = status_of_child([] {
        const auto entered =
            os::enter_sandbox({.user = {}, .group = {}, .calls = kNoCalls, .kills = true});
        if (!entered || !entered->has_filter) return 1;
        return ::chroot("/") == 0 ? 2 : 3;
    });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGSYS);
}

TEST_CASE("or it fails with EPERM, where that is asked for, and allowed ones work") {
    const int code = exit_code_of_child([] {
        const auto entered =
            os::enter_sandbox({.user = {}, .group = {}, .calls = kNoCalls, .kills = false});
        if (!entered || !entered->has_filter) return 1;
        if (::chroot("/") != -1 || errno != EPERM) return 2;
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0 || ::write(ends[1], "x", 1) != 1) return 3;
        return 0;
    });
    CHECK(code == 0);
}
