#include "cpgd/driver/process_watch.hpp"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace cpgd {

ProcessWatch::~ProcessWatch() {
    for (const auto& [pid, process] : watched_) {
        loop_.remove(process.get());
    }
}

void ProcessWatch::watch(std::uint32_t pid) {
    if (pid == 0 || watched_.contains(pid)) return;
    // glibc 2.36 has it, but its header clashes with <linux/wait.h> users; the call is the same.
    os::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0u)));
    if (!process.is_open()) {
        // Without a descriptor to spare the grace time has to do.
        if (errno == ESRCH) loop_.defer([this, pid] { ended_(pid); });
        return;
    }
    const auto added = loop_.add(process.get(), EPOLLIN, [this, pid](std::uint32_t) {
        loop_.remove(watched_.at(pid).get());
        watched_.erase(pid);
        ended_(pid);
    });
    if (added) watched_.emplace(pid, std::move(process));
}

}  // namespace cpgd
