#include "common/os/event_loop.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>

#include "common/os/clock.hpp"

namespace os {
namespace {

constexpr int kEventsATurn = 64;

// With nanoseconds where the kernel has it (5.11), else rounded up to milliseconds, so that a
// deadline has passed when we wake.
int wait_for_events(int epoll, epoll_event* events, base::Duration timeout) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
    const timespec limit{.tv_sec = seconds.count(), .tv_nsec = (timeout - seconds).count()};
    const int count = ::epoll_pwait2(epoll, events, kEventsATurn, &limit, nullptr);
    if (count >= 0 || errno != ENOSYS) return count;
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
    return ::epoll_wait(epoll, events, kEventsATurn,
                        static_cast<int>(std::min<long>(whole, 60'000)));
}

}  // namespace

Result<EventLoop> EventLoop::create() {
    EventLoop loop;
    loop.epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    if (!loop.epoll_.is_open()) return last_error("epoll_create1");
    return loop;
}

Result<void> EventLoop::add(int fd, std::uint32_t events, Callback callback) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return last_error("epoll add");
    watches_[fd] = {.events = events, .callback = std::make_shared<Callback>(std::move(callback))};
    return {};
}

Result<void> EventLoop::change(int fd, std::uint32_t events) {
    const auto watch = watches_.find(fd);
    if (watch == watches_.end()) return base::fail(Error{.what = "epoll change", .code = ENOENT});
    if (watch->second.events == events) return {};
    epoll_event event{.events = events, .data = {.fd = fd}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0)
        return last_error("epoll change");
    watch->second.events = events;
    return {};
}

void EventLoop::remove(int fd) {
    if (watches_.erase(fd) == 0) return;
    // It can only fail when the descriptor is closed, which removes it too.
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::remove_closing(int fd) {
    watches_.erase(fd);
}

void EventLoop::set_deadline(std::function<std::optional<base::Instant>()> when,
                             std::function<void()> passed) {
    deadlines_.push_back({std::move(when), std::move(passed)});
}

void EventLoop::at_turn_end(std::function<void()> callback) {
    turn_ends_.push_back(std::move(callback));
}

void EventLoop::defer(std::function<void()> callback) {
    deferred_.push_back(std::move(callback));
}

Result<void> EventLoop::run() {
    while (!stopping_) {
        if (auto turned = turn(std::chrono::hours{1}); !turned) return turned;
    }
    return {};
}

Result<void> EventLoop::turn(base::Duration timeout) {
    if (!deferred_.empty()) timeout = base::Duration::zero();
    base::Instant until{};
    if (!deadlines_.empty()) {
        const base::Instant before = now();
        for (const Deadline& deadline : deadlines_) {
            const auto when = deadline.when();
            if (when) timeout = std::clamp(*when - before, base::Duration::zero(), timeout);
        }
        until = before + timeout;
    }

    // The kernel fills in as many as it tells.
    std::array<epoll_event, kEventsATurn> events;
    const int count = wait_for_events(epoll_.get(), events.data(), timeout);
    if (count < 0 && errno != EINTR) return last_error("epoll_wait");

    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events.at(static_cast<std::size_t>(i));
        const auto watch = watches_.find(event.data.fd);
        if (watch == watches_.end()) continue;         // Removed by a callback of this turn.
        const auto callback = watch->second.callback;  // It may remove itself while it runs.
        (*callback)(event.events);
    }

    // Each is asked once a turn: one that a callback has just set for now is met by the next turn,
    // which then waits for nothing.
    const base::Instant after = deadlines_.empty() ? until : now();
    if (after >= until) {
        for (std::size_t i = 0; i < deadlines_.size(); ++i) {
            const auto when = deadlines_[i].when();
            if (when && *when <= after) deadlines_[i].passed();
        }
    }
    std::vector<std::function<void()>> due;
    due.swap(deferred_);
    for (const auto& callback : due) {
        callback();
    }
    for (std::size_t i = 0; i < turn_ends_.size(); ++i) {
        turn_ends_[i]();
    }
    return {};
}

}  // namespace os
