#include "common/os/sandbox.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

#include "common/os/identity.hpp"

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

// What a sandboxed child finds when it tries `call`.
template <class Call>
int errno_of(Call call) {
    errno = 0;
    return call() == -1 ? errno : 0;
}

bool is_nobody_now() {
    const auto uid = os::user_id("nobody");
    return uid && os::become({.uid = *uid, .gid = 65534}).has_value() && ::getuid() == *uid &&
           ::geteuid() == *uid && ::getgroups(0, nullptr) == 0;
}

}  // namespace

TEST_CASE("user and groups are gone for good, and the signal at the parent's death stays") {
    if (::geteuid() != 0) return;  // Only root has them.
    const int code = exit_code_of_child([] {
        (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (!is_nobody_now()) return 1;
        int signal = 0;
        if (::prctl(PR_GET_PDEATHSIG, &signal) != 0 || signal != SIGTERM) return 2;
        return ::setuid(0) == 0 ? 3 : 0;
    });
    CHECK(code == 0);
}

TEST_CASE("who there is not has no id") {
    CHECK(os::user_id("root") == 0);
    CHECK(os::group_id("root") == 0);
    CHECK_FALSE(os::user_id("no-such-user"));
    CHECK_FALSE(os::group_id("no-such-group"));
}

TEST_CASE("capabilities are gone for good, of root too") {
    if (::geteuid() != 0) return;
    const int code = exit_code_of_child([] {
        const auto entered = os::enter_sandbox({.has_filter = false});
        if (!entered || !entered->degraded.empty()) return 1;
        if (has_any_capability() || ::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) != 0) return 2;
        if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 3;
        return ::chroot("/") == 0 ? 4 : 0;
    });
    CHECK(code == 0);
}

TEST_CASE("a system call that is not allowed ends the process where that is asked for") {
    const int status = status_of_child([] {
        const auto entered = os::enter_sandbox({.kills = true});
        if (!entered || !entered->has_filter) return 1;
        return ::chroot("/") == 0 ? 2 : 3;
    });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGSYS);
}

TEST_CASE("or it fails with EPERM, and allowed ones work") {
    const int code = exit_code_of_child([] {
        const auto entered = os::enter_sandbox({});
        if (!entered || !entered->has_filter) return 1;
        if (::chroot("/") != -1 || errno != EPERM) return 2;
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0 || ::write(ends[1], "x", 1) != 1) return 3;
        return 0;
    });
    CHECK(code == 0);
}

TEST_CASE("no process is started, executed, traced or signalled; threads are") {
    const int code = exit_code_of_child([] {
        if (!os::enter_sandbox({})) return 1;
        if (errno_of([] { return ::fork(); }) != EPERM) return 2;
        if (errno_of([] { return ::kill(::getppid(), 0); }) != EPERM) return 3;
        char name[] = "/bin/true";
        char* arguments[] = {name, nullptr};
        if (errno_of([&] { return ::execv(name, arguments); }) != EPERM) return 4;
        if (errno_of([] { return static_cast<int>(::ptrace(PTRACE_TRACEME, 0, 0, 0)); }) != EPERM)
            return 5;
        bool ran = false;
        std::thread([&ran] { ran = true; }).join();
        return ran ? 0 : 6;
    });
    CHECK(code == 0);
}

TEST_CASE("sockets of the Internet are for who needs them") {
    for (const bool has_network : {false, true}) {
        CAPTURE(has_network);
        const int code = exit_code_of_child([has_network] {
            if (!os::enter_sandbox({.has_network = has_network})) return 1;
            if (::socket(AF_UNIX, SOCK_STREAM, 0) < 0) return 2;
            if ((::socket(AF_INET, SOCK_DGRAM, 0) >= 0) != has_network) return 3;
            if (errno_of([] { return ::socket(AF_PACKET, SOCK_RAW, 0); }) != EPERM) return 4;
            return 0;
        });
        CHECK(code == 0);
    }
}

TEST_CASE("real-time priority is for who needs it, and is not handed on") {
    for (const bool may_be_real_time : {false, true}) {
        CAPTURE(may_be_real_time);
        const int code = exit_code_of_child([may_be_real_time] {
            if (!os::enter_sandbox({.may_be_real_time = may_be_real_time})) return 1;
            // No priority of a real-time policy: what passes the filter fails with EINVAL, also
            // where the kernel would allow nobody to be real-time.
            const auto refusal = [](int policy) {
                const sched_param none{.sched_priority = 0};
                return errno_of([&] { return ::sched_setscheduler(0, policy, &none); });
            };
            if (refusal(SCHED_RR | SCHED_RESET_ON_FORK) != (may_be_real_time ? EINVAL : EPERM))
                return 2;
            if (refusal(SCHED_RR) != EPERM || refusal(SCHED_FIFO) != EPERM) return 3;
            if (refusal(SCHED_FIFO | SCHED_RESET_ON_FORK) != EPERM) return 4;
            return refusal(SCHED_OTHER) == 0 ? 0 : 5;
        });
        CHECK(code == 0);
    }
}

TEST_CASE("who holds a secret leaves no core") {
    const int code = exit_code_of_child([] {
        os::keep_memory_private();
        rlimit limit{};
        if (::getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0) return 1;
        return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 2;
    });
    CHECK(code == 0);
}
