#include "libclient/src/ipc/event_stream.hpp"

namespace client {

base::Expected<std::optional<base::Buffer>, zmtp::ConnectionError> EventStream::next() {
    for (;;) {
        auto message = connection_.next_message();
        if (!message) return base::fail(message.error());
        if (*message) return *std::move(message);

        const auto bytes = read_held_back(connection_);
        if (!bytes) return base::fail(bytes.error());
        if (*bytes == 0) return std::nullopt;
    }
}

void EventStream::send(const base::Buffer& message) {
    if (connection_.queued_bytes() == 0 && !connection_.send(message)) return;
    // A failure shows when we read.
    (void)connection_.flush();
}

}  // namespace client
