#include "common/os/sandbox.hpp"

#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

namespace os {
namespace {

using Filter = std::unique_ptr<void, decltype(&::seccomp_release)>;

// Names that this architecture or kernel does not know are passed over.
constexpr std::array kCommonCalls{
    // The loop, timers and signals.
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll",
    "eventfd2", "timerfd_create", "timerfd_settime", "signalfd4", "pipe2", "clock_gettime",
    "clock_nanosleep", "gettimeofday", "time", "restart_syscall", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "rt_sigtimedwait", "sigaltstack",
    // Sockets. Of which families: see allow_sockets().
    "bind", "connect", "listen", "accept4", "getsockname", "getpeername", "getsockopt",
    "setsockopt", "shutdown", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg",
    // Files.
    "read", "readv", "pread64", "write", "writev", "pwrite64", "open", "openat", "close",
    "close_range", "fstat", "stat", "lstat", "newfstatat", "statx", "access", "faccessat",
    "faccessat2", "lseek", "fcntl", "ioctl", "dup", "dup2", "dup3", "fsync", "fdatasync",
    "ftruncate", "rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "mkdir",
    "mkdirat", "chmod", "fchmod", "fchmodat", "getdents64", "memfd_create", "flock", "umask",
    "readlink", "readlinkat", "getcwd", "uname", "fstatfs", "statfs",
    // Memory, threads, and the end.
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mlock", "mlock2", "munlock",
    "mlockall", "futex", "futex_waitv", "set_robust_list", "rseq", "exit", "exit_group",
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler",
    "set_tid_address", "membarrier", "gettid", "getpid", "getppid", "getuid", "geteuid", "getgid",
    "getegid", "getgroups", "tgkill", "pidfd_open", "prctl", "getrandom", "prlimit64", "getrlimit",
    "getrusage", "sysinfo", "getpriority", "arch_prctl"};

Result<void> drop_bounding_set() {
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
        if (::prctl(PR_CAPBSET_DROP, capability) != 0) return last_error("drop bounding set");
    }
    return {};
}

Result<void> drop_capabilities() {
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return last_error("PR_CAP_AMBIENT");
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    using Sets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;
    Sets held{};
    if (::syscall(SYS_capget, &header, held.data()) != 0) return last_error("capget");
    const bool has_none = std::ranges::all_of(held, [](const auto& set) {
        return set.effective == 0 && set.permitted == 0 && set.inheritable == 0;
    });
    // A service manager that gave none may have forbidden the call with them.
    if (has_none) return {};
    Sets none{};
    if (::syscall(SYS_capset, &header, none.data()) != 0) return last_error("capset");
    return {};
}

Result<void> added(int failed, const char* name) {
    if (failed == 0 || failed == -EEXIST || failed == -EDOM) return {};
    return base::fail(Error{.what = std::string("allow ") + name, .code = -failed});
}

Result<void> allow_by_name(const Filter& filter, std::span<const char* const> names) {
    for (const char* name : names) {
        const int number = ::seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR) continue;
        const int failed = ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, number, 0);
        if (auto done = added(failed, name); !done) return done;
    }
    return {};
}

Result<void> allow_sockets(const Filter& filter, bool has_network) {
    constexpr std::array kFamilies{AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    for (const int family : kFamilies) {
        // The interfaces of this host are asked for by netlink, also at a reload.
        const bool is_local = family == AF_UNIX || family == AF_NETLINK;
        if (!is_local && !has_network) continue;
        const int failed =
            ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                               SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)));
        if (auto done = added(failed, "socket"); !done) return done;
    }
    return added(::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
                                    SCMP_A0(SCMP_CMP_EQ, AF_UNIX)),
                 "socketpair");
}

// Threads, but no processes. The flags of clone3 are in memory, which a filter can't see: without
// clone3 the C library takes clone.
Result<void> allow_threads(const Filter& filter) {
    const int failed = ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                          SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    if (auto done = added(failed, "clone"); !done) return done;
    return added(::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0),
                 "clone3");
}

// libzmq gives each of its threads the ordinary scheduling that it has already, and ends the
// process when that is refused.
Result<void> allow_scheduling(const Filter& filter, bool may_be_real_time) {
    constexpr std::array kPolicies{SCHED_OTHER, SCHED_OTHER | SCHED_RESET_ON_FORK,
                                   SCHED_RR | SCHED_RESET_ON_FORK};
    for (const int policy : kPolicies) {
        if (policy != SCHED_OTHER && !may_be_real_time) continue;
        const int failed =
            ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(sched_setscheduler), 1,
                               SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(policy)));
        if (auto done = added(failed, "sched_setscheduler"); !done) return done;
    }
    return {};
}

Result<void> filter_calls(const SandboxSettings& settings) {
    const std::uint32_t otherwise = settings.kills ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
    const Filter filter(::seccomp_init(otherwise), ::seccomp_release);
    if (!filter) return base::fail(Error{.what = "seccomp_init", .code = ENOMEM});
    (void)::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);  // EOPNOTSUPP: told by load.
    for (const auto names : {common_calls(), settings.calls}) {
        if (auto done = allow_by_name(filter, names); !done) return done;
    }
    if (auto done = allow_sockets(filter, settings.has_network); !done) return done;
    if (auto done = allow_threads(filter); !done) return done;
    if (auto done = allow_scheduling(filter, settings.may_be_real_time); !done) return done;
    if (const int failed = ::seccomp_load(filter.get()); failed != 0)
        return base::fail(Error{.what = "load the system call filter", .code = -failed});
    return {};
}

}  // namespace

std::span<const char* const> common_calls() {
    return kCommonCalls;
}

Result<Sandboxed> enter_sandbox(const SandboxSettings& settings) {
    Sandboxed result;
    // Root alone can empty it. Whoever else has no capability can get none once new privileges are
    // refused.
    if (::geteuid() == 0) {
        if (auto dropped = drop_bounding_set(); !dropped)
            result.degraded.push_back(dropped.error().text());
    }
    if (auto dropped = drop_capabilities(); !dropped) return base::fail(dropped.error());
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return last_error("PR_SET_NO_NEW_PRIVS");
    if (!settings.has_filter) return result;
    if (auto filtered = filter_calls(settings); filtered) {
        result.has_filter = true;
    } else {
        result.degraded.push_back("no system call filter: " + filtered.error().text());
    }
    return result;
}

void keep_memory_private() {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    (void)::setrlimit(RLIMIT_CORE, &none);       // To lower a limit is always allowed.
    (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // No failure for 0.
}

}  // namespace os
