#include "common/os/signal_fd.hpp"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

namespace os {

Result<std::unique_ptr<SignalFd>> SignalFd::create(EventLoop& loop,
                                                   std::initializer_list<int> signals,
                                                   std::function<void(int)> callback) {
    sigset_t set;
    // These fail for signal numbers that do not exist only.
    (void)::sigemptyset(&set);
    for (const int signal : signals) {
        (void)::sigaddset(&set, signal);
    }
    if (const int failed = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); failed != 0)
        return base::fail(Error{.what = "block signals", .code = failed});
    UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd.is_open()) return last_error("signalfd");
    std::unique_ptr<SignalFd> result(new SignalFd(loop, std::move(fd), std::move(callback)));
    const auto added = loop.add(result->fd_.get(), EPOLLIN,
                                [raw = result.get()](std::uint32_t) { raw->read_all(); });
    if (!added) return base::fail(added.error());
    return result;
}

SignalFd::~SignalFd() {
    loop_.remove(fd_.get());
}

void SignalFd::read_all() {
    signalfd_siginfo info{};
    while (::read(fd_.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
        callback_(static_cast<int>(info.ssi_signo));
    }
}

}  // namespace os
