// What a daemon says on its NOTIFY_SOCKET (sd_notify(3)), as far as a supervisor acts on it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace node {

struct NotifyMessage {
    bool is_ready = false;
    bool is_stopping = false;
    bool feeds_watchdog = false;
    std::optional<bool> real_time;      // The priority that it asks for (os::ask_real_time).
    std::optional<std::string> status;  // One line for people.
    bool stores_descriptors = false;    // Those that came with the datagram, as `name`.
    bool watches_descriptors = true;    // Drop them when their peer hangs up.
    bool forgets_descriptors = false;   // Those that were stored as `name`.
    std::string name = "stored";        // As systemd calls those without a name.
};

// Reads the lines NAME=VALUE of a datagram. Unknown names are passed over, as systemd does: daemons
// may say more than we use. A name for descriptors that is not allowed becomes "stored".
[[nodiscard]] NotifyMessage parse_notify(std::string_view datagram);

}  // namespace node
