#include "common/os/sandbox.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <memory>

namespace os {
namespace {

// Names that this architecture or kernel does not know are passed over.
constexpr std::array kCommonCalls{
    // The loop, timers and signals.
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll",
    "eventfd2", "timerfd_create", "timerfd_settime", "signalfd4", "pipe2", "clock_gettime",
    "clock_nanosleep", "gettimeofday", "time", "restart_syscall",
    // Sockets.
    "socket", "bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername",
    "getsockopt", "setsockopt", "shutdown", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg",
    "recvmmsg",
    // Files.
    "read", "readv", "pread64", "write", "writev", "pwrite64", "open", "openat", "close",
    "close_range", "fstat", "stat", "lstat", "newfstatat", "statx", "access", "faccessat",
    "faccessat2", "lseek", "fcntl", "ioctl", "dup", "dup2", "dup3", "fsync", "fdatasync",
    "ftruncate", "rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "mkdir",
    "mkdirat", "fchmod", "getdents64", "memfd_create", "flock", "umask", "readlink", "readlinkat",
    "getcwd", "uname",
    // Memory, threads, and the end.
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mlock", "mlock2", "munlock",
    "mlockall", "futex", "futex_waitv", "set_robust_list", "rseq", "clone", "clone3", "exit",
    "exit_group", "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam",
    "sched_setscheduler", "sched_getscheduler", "set_tid_address", "membarrier", "gettid", "getpid",
    "getppid", "getuid", "geteuid", "getgid", "getegid", "getgroups", "kill", "tgkill",
    "pidfd_open", "prctl", "getrandom", "prlimit64", "getrlimit", "getrusage", "sysinfo",
    "getpriority", "setpriority", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigtimedwait", "sigaltstack", "arch_prctl"};

struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
};

// The user and group of the settings, or why there is none.
Result<Identity> identity_of(const SandboxSettings& settings) {
    const passwd* user = ::getpwnam(settings.user.c_str());
    if (user == nullptr)
        return base::fail(Error{.what = "there is no user '" + settings.user + "'"});
    Identity identity{.uid = user->pw_uid, .gid = user->pw_gid};
    if (settings.group.empty()) return identity;
    const ::group* group = ::getgrnam(settings.group.c_str());
    if (group == nullptr)
        return base::fail(Error{.what = "there is no group '" + settings.group + "'"});
    identity.gid = group->gr_gid;
    return identity;
}

Result<void> become(const Identity& identity) {
    // A change of user forgets the signal at the parent's death; who set it still wants it.
    int death_signal = 0;
    (void)::prctl(PR_GET_PDEATHSIG, &death_signal);  // The pointer is good: no failure.
    if (::setgroups(0, nullptr) != 0) return last_error("drop supplementary groups");
    if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) return last_error("setresgid");
    if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) return last_error("setresuid");
    if (identity.uid != 0 && ::setresuid(0, 0, 0) == 0)
        return base::fail(Error{.what = "could become root again"});
    if (::prctl(PR_SET_PDEATHSIG, death_signal) != 0) return last_error("PR_SET_PDEATHSIG");
    return {};
}

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
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
    if (::syscall(SYS_capset, &header, none.data()) != 0) return last_error("capset");
    return {};
}

Result<void> filter_calls(const SandboxSettings& settings) {
    const std::uint32_t otherwise = settings.kills ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
    const std::unique_ptr<void, decltype(&::seccomp_release)> filter(::seccomp_init(otherwise),
                                                                     ::seccomp_release);
    if (!filter) return base::fail(Error{.what = "seccomp_init", .code = ENOMEM});
    // Every thread of the process: libzmq's I/O thread runs already.
    (void)::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);  // EOPNOTSUPP: told by load.
    for (const auto calls : {common_calls(), settings.calls}) {
        for (const char* name : calls) {
            const int number = ::seccomp_syscall_resolve_name(name);
            if (number == __NR_SCMP_ERROR) continue;
            const int failed = ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, number, 0);
            if (failed != 0 && failed != -EEXIST && failed != -EDOM)
                return base::fail(Error{.what = std::string("allow ") + name, .code = -failed});
        }
    }
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
    if (!settings.user.empty() && ::geteuid() == 0) {
        const auto identity = identity_of(settings);
        if (!identity) {
            result.degraded.push_back("still root: " + identity.error().text());
        } else {
            // While we are root the bounding set can be emptied.
            if (auto dropped = drop_bounding_set(); !dropped)
                result.degraded.push_back(dropped.error().text());
            if (auto became = become(*identity); !became) return base::fail(became.error());
            result.is_user_dropped = true;
        }
    }
    if (result.is_user_dropped || ::geteuid() != 0) {
        if (auto dropped = drop_capabilities(); !dropped) return base::fail(dropped.error());
        result.has_no_capabilities = true;
    } else {
        result.degraded.emplace_back("capabilities are kept");
    }
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return last_error("PR_SET_NO_NEW_PRIVS");
    if (settings.calls.empty()) return result;
    if (auto filtered = filter_calls(settings); filtered) {
        result.has_filter = true;
    } else {
        result.degraded.push_back("no system call filter: " + filtered.error().text());
    }
    return result;
}

}  // namespace os
