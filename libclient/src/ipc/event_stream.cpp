#include "libclient/src/ipc/event_stream.hpp"

namespace client {

base::Expected<std::optional<base::Buffer>, zmtp::ConnectionError> EventStream::next() {
    for (;;) {
        auto message = take();
        if (!message) return base::fail(message.error());
        if (*message) return *std::move(message);
        const auto more = read();
        if (!more) return base::fail(more.error());
        if (!*more) return std::nullopt;
    }
}

base::Expected<bool, zmtp::ConnectionError> EventStream::read() {
    const auto bytes = read_held_back(connection_);
    if (!bytes) return base::fail(bytes.error());
    return *bytes > 0;
}

void EventStream::send(const base::Buffer& message) {
    if (connection_.queued_bytes() == 0 && !connection_.send(message)) return;
    // A failure shows when we read.
    (void)connection_.flush();
}

}  // namespace client
