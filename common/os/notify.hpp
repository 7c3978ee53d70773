// What a daemon tells the service manager, or `haloctl node` (sd_notify(3)). Without a manager all
// of it does nothing.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "common/os/event_loop.hpp"

namespace os {

void notify_ready();
void notify_stopping();
void notify_reloading();

// One line for `systemctl status`.
void notify_status(const std::string& text);

// Asks `haloctl node` for real-time priority, or for ordinary one: it can give what a process
// without privilege can't take where limits can't be raised (a container). It says so by
// kAskPriority in our environment; systemd passes the question over.
inline constexpr const char* kAskPriority = "HALO_ASK_PRIORITY";
void ask_real_time(bool is_wanted);

// Keeps a duplicate of `fd` under `name` for our next life, which finds it in HandedDown. A name of
// letters, digits, '-' and '_', at most 255. An older one of the same name is replaced. It is kept
// whatever happens to it: a socket may have an error that is ours to read.
Result<void> store_descriptor(const std::string& name, int fd);
void forget_descriptor(const std::string& name);

// So many come with one message to `haloctl node`; one with more is passed over.
inline constexpr std::size_t kDescriptorsAMessageMax = 16;

// As store_descriptor, beside others of the same name, each until its peer hangs up. The manager's
// limit may be reached, and nobody may keep any: then they end with us.
void keep_connections(const std::string& name, std::span<const int> connections);

// Tells the manager that the loop still turns, twice in the time it allows. A loop that hangs, or
// turns without reaching its end, is killed and restarted. Does nothing when no watchdog is asked
// for. Call once, before run().
void feed_watchdog(EventLoop& loop);

}  // namespace os
