#include "libclient/tools/node/notify_message.hpp"

#include <algorithm>

namespace node {
namespace {

constexpr std::size_t kNameBytesMax = 255;

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameBytesMax &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return c > ' ' && c < 127 && c != ':';  // ':' separates the names in LISTEN_FDNAMES.
           });
}

void take_line(std::string_view line, NotifyMessage& message) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return;
    const std::string_view name = line.substr(0, equals);
    const std::string_view value = line.substr(equals + 1);
    if (name == "READY") message.is_ready = value == "1";
    if (name == "STOPPING") message.is_stopping = value == "1";
    if (name == "WATCHDOG") message.feeds_watchdog = value == "1";
    if (name == "X_HALO_REAL_TIME") message.real_time = value == "1";
    if (name == "STATUS") message.status = std::string(value);
    if (name == "FDSTORE") message.stores_descriptors = value == "1";
    if (name == "FDPOLL") message.watches_descriptors = value != "0";
    if (name == "FDSTOREREMOVE") message.forgets_descriptors = value == "1";
    if (name == "FDNAME" && is_name(value)) message.name = std::string(value);
}

}  // namespace

NotifyMessage parse_notify(std::string_view datagram) {
    NotifyMessage message;
    while (!datagram.empty()) {
        const std::size_t end = std::min(datagram.find('\n'), datagram.size());
        take_line(datagram.substr(0, end), message);
        datagram.remove_prefix(std::min(end + 1, datagram.size()));
    }
    return message;
}

}  // namespace node
