// Signals as events of the loop.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "common/os/event_loop.hpp"

namespace os {

// While it lives, the signals are blocked in this thread and in threads that it starts later, and
// each arrives as a callback in a turn of the loop. Make it before any other thread.
class SignalFd {
  public:
    static Result<std::unique_ptr<SignalFd>> create(EventLoop& loop,
                                                    std::initializer_list<int> signals,
                                                    std::function<void(int signal)> callback);
    ~SignalFd();
    SignalFd(const SignalFd&) = delete;
    SignalFd& operator=(const SignalFd&) = delete;

  private:
    SignalFd(EventLoop& loop, UniqueFd fd, std::function<void(int)> callback)
        : loop_(loop), fd_(std::move(fd)), callback_(std::move(callback)) {}
    void read_all();

    EventLoop& loop_;
    UniqueFd fd_;
    std::function<void(int)> callback_;
};

}  // namespace os
