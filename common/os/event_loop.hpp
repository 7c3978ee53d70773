// One thread's event loop over epoll. A daemon has one; everything in it happens in run().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/instant.hpp"
#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"

namespace os {

// Calls back what was registered. A callback may register, change and remove anything, itself
// included. Not for several threads.
class EventLoop {
  public:
    using Callback = std::function<void(std::uint32_t events)>;  // EPOLLIN, EPOLLOUT, EPOLLHUP, …

    static Result<EventLoop> create();

    // Watches `fd`, level-triggered, for `events`. The caller keeps owning `fd` and removes it
    // before closing it.
    Result<void> add(int fd, std::uint32_t events, Callback callback);
    Result<void> change(int fd, std::uint32_t events);
    void remove(int fd);
    // The same for a descriptor that is closed now and that nobody else has: then the kernel
    // forgets it by itself, which saves a system call.
    void remove_closing(int fd);

    // Called when `when()` (asked before each wait) has passed. Nothing: no timer.
    void set_deadline(std::function<std::optional<base::Instant>()> when,
                      std::function<void()> passed);

    // Called at the end of each turn, after all callbacks of ready descriptors: the place to write
    // out what the turn collected. In order of registration.
    void at_turn_end(std::function<void()> callback);

    // Called at the end of this turn only, or of the next one when called from there.
    void defer(std::function<void()> callback);

    // Runs until stop(). Gives an error only when epoll itself fails.
    Result<void> run();
    void stop() { stopping_ = true; }

    // One turn: waits at most `timeout` (or until the next deadline, whichever is sooner).
    Result<void> turn(base::Duration timeout);

  private:
    struct Watch {
        std::uint32_t events = 0;
        std::shared_ptr<Callback> callback;
    };
    struct Deadline {
        std::function<std::optional<base::Instant>()> when;
        std::function<void()> passed;
    };

    UniqueFd epoll_;
    std::map<int, Watch> watches_;
    std::vector<Deadline> deadlines_;
    std::vector<std::function<void()>> turn_ends_;
    std::vector<std::function<void()>> deferred_;
    bool stopping_ = false;
};

}  // namespace os
