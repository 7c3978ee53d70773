#include "libclient/src/ipc/event_stream.hpp"

namespace client {

CsResult<std::optional<base::Buffer>> EventStream::next() {
    for (;;) {
        auto message = connection_.next_message();
        if (!message) return base::fail(CS_ERR_LIBRARY);
        if (*message) return *std::move(message);

        const auto bytes = read_held_back(connection_);
        if (!bytes) return base::fail(CS_ERR_LIBRARY);
        if (*bytes == 0) return std::nullopt;
    }
}

void EventStream::send(const base::Buffer& message) {
    if (connection_.queued_bytes() == 0 && !connection_.send(message)) return;
    // A failure shows when we read.
    (void)connection_.flush();
}

}  // namespace client
