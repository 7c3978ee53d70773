#include "common/os/notify.hpp"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

#include "common/os/clock.hpp"

namespace os {
namespace {

// A manager that is not there, or does not listen, changes nothing for us.
void tell(const std::string& state) {
    (void)::sd_notify(/*unset_environment=*/0, state.c_str());
}

}  // namespace

void notify_ready() {
    tell("READY=1");
}

void notify_stopping() {
    tell("STOPPING=1");
}

void notify_reloading() {
    tell("RELOADING=1");
}

void notify_status(const std::string& text) {
    tell("STATUS=" + text);
}

void ask_real_time(bool is_wanted) {
    tell(is_wanted ? "X_HALO_REAL_TIME=1" : "X_HALO_REAL_TIME=0");
}

Result<void> store_descriptor(const std::string& name, int fd) {
    forget_descriptor(name);
    const std::string state = "FDSTORE=1\nFDPOLL=0\nFDNAME=" + name;
    const int told = ::sd_pid_notify_with_fds(0, 0, state.c_str(), &fd, 1);
    if (told < 0) return base::fail(Error{.what = "store descriptor " + name, .code = -told});
    if (told == 0)
        return base::fail(Error{.what = "store descriptor " + name + ": nobody keeps it"});
    return {};
}

void forget_descriptor(const std::string& name) {
    tell("FDSTOREREMOVE=1\nFDNAME=" + name);
}

void keep_connections(const std::string& name, std::span<const int> connections) {
    const std::string state = "FDSTORE=1\nFDNAME=" + name;
    while (!connections.empty()) {
        const std::size_t count = std::min(connections.size(), kDescriptorsAMessageMax);
        (void)::sd_pid_notify_with_fds(0, 0, state.c_str(), connections.data(),
                                       static_cast<unsigned>(count));
        connections = connections.subspan(count);
    }
}

void feed_watchdog(EventLoop& loop) {
    std::uint64_t allowed_us = 0;
    if (::sd_watchdog_enabled(/*unset_environment=*/0, &allowed_us) <= 0) return;
    const base::Duration interval = std::chrono::microseconds(allowed_us / 2);
    const auto next = std::make_shared<base::Instant>(now());
    loop.set_deadline([next] { return std::optional(*next); },
                      [next, interval] {
                          tell("WATCHDOG=1");
                          *next = now() + interval;
                      });
}

}  // namespace os
