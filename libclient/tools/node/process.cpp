#include "libclient/tools/node/process.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>

#include "common/os/notify.hpp"
#include "common/os/scheduling.hpp"
#include "common/os/unique_fd.hpp"

namespace node {
namespace {

constexpr int kFirstHandedDown = 3;  // SD_LISTEN_FDS_START

// Moves the descriptors to 3, 4, …, open across exec. First out of the way of each other.
bool place_descriptors(const Program& program) {
    const int count = static_cast<int>(program.descriptors.size());
    std::vector<int> moved;
    for (const auto& [name, fd] : program.descriptors) {
        moved.push_back(::fcntl(fd, F_DUPFD_CLOEXEC, kFirstHandedDown + count));
        if (moved.back() < 0) return false;
    }
    for (int i = 0; i < count; ++i) {
        if (::dup2(moved[static_cast<std::size_t>(i)], kFirstHandedDown + i) < 0) return false;
    }
    return true;
}

bool set(const char* name, const std::string& value) {
    return ::setenv(name, value.c_str(), 1) == 0;
}

bool set_environment(const Program& program) {
    std::string names;
    for (const auto& [name, fd] : program.descriptors) {
        names += (names.empty() ? "" : ":") + name;
    }
    const std::string self = std::to_string(::getpid());
    bool done = set("LISTEN_PID", self) && set("LISTEN_FDNAMES", names) &&
                set("LISTEN_FDS", std::to_string(program.descriptors.size())) &&
                set("NOTIFY_SOCKET", program.notify_path);
    if (program.watchdog_us > 0) {
        done = done && set("WATCHDOG_USEC", std::to_string(program.watchdog_us)) &&
               set("WATCHDOG_PID", self);
    } else {
        done = done && ::unsetenv("WATCHDOG_USEC") == 0;
    }
    if (program.credentials_folder.empty()) return done && ::unsetenv("CREDENTIALS_DIRECTORY") == 0;
    return done && set("CREDENTIALS_DIRECTORY", program.credentials_folder);
}

// Refused is no reason not to start: the daemon says what it lacks.
void raise_limits(const Limits& limits) {
    if (limits.nice != 0) (void)::setpriority(PRIO_PROCESS, 0, limits.nice);
    if (!limits.is_raised) return;
    constexpr rlim_t kNiceMost = 40;  // Down to -20 (getrlimit(2)).
    const auto raise = [](int resource, rlim_t value) {
        const rlimit limit{.rlim_cur = value, .rlim_max = value};
        return ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0;
    };
    const bool may_be_real_time = raise(RLIMIT_RTPRIO, os::kRealTimePriority);
    (void)raise(RLIMIT_NICE, kNiceMost);
    (void)raise(RLIMIT_MEMLOCK, RLIM_INFINITY);
    // To try it is the only way to know whether we may.
    const bool can_give = limits.real_time && !may_be_real_time && os::set_real_time(0, true) &&
                          os::set_real_time(0, false);
    (void)(can_give ? ::setenv(os::kAskPriority, "1", 1) : ::unsetenv(os::kAskPriority));
}

// One capability goes along with the new user and through exec; the daemon drops it once its
// sockets are open.
bool become(const os::Identity& identity, bool net_buffers) {
    if (net_buffers && ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return false;
    if (!os::become(identity)) return false;
    if (!net_buffers) return true;
    constexpr std::uint32_t kNetAdmin = 1u << static_cast<unsigned>(CAP_NET_ADMIN);
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
    sets[0] = {.effective = kNetAdmin, .permitted = kNetAdmin, .inheritable = kNetAdmin};
    // Where even root has no such capability (a container) the daemon starts without.
    if (::syscall(SYS_capset, &header, sets.data()) != 0) return true;
    (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0);
    return true;
}

// In the child, and never back. This program has one thread, so that the heap is usable after fork.
[[noreturn]] void run(const Program& program, pid_t parent) {
    constexpr int kCannotStart = 127;
    sigset_t none{};
    (void)::sigemptyset(&none);  // Cannot fail.
    (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
    (void)::signal(SIGPIPE, SIG_DFL);
    raise_limits(program.limits);
    if (program.identity && !become(*program.identity, program.limits.net_buffers))
        ::_exit(kCannotStart);
    const bool is_bound = ::prctl(PR_SET_PDEATHSIG, SIGTERM) == 0;
    // The parent may have died before the line above.
    if (!is_bound || ::getppid() != parent) ::_exit(kCannotStart);
    const os::UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null.is_open() || ::dup2(null.get(), STDIN_FILENO) < 0) ::_exit(kCannotStart);
    if (!place_descriptors(program) || !set_environment(program)) ::_exit(kCannotStart);
    std::vector<char*> arguments;
    for (const std::string& argument : program.arguments) {
        arguments.push_back(const_cast<char*>(argument.c_str()));  // execv changes nothing.
    }
    arguments.push_back(nullptr);
    ::execv(arguments.front(), arguments.data());
    ::_exit(kCannotStart);
}

}  // namespace

os::Result<pid_t> start(const Program& program) {
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) return os::last_error("fork");
    if (child == 0) run(program, parent);
    return child;
}

}  // namespace node
