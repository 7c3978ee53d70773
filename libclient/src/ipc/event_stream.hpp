// The connection whose descriptor the application polls: readable exactly while an event waits.
#pragma once

#include <optional>
#include <utility>

#include "libclient/src/ipc/connect.hpp"
#include "libclient/src/ipc/lasting_fd.hpp"

namespace client {

// The socket is level-triggered by itself as long as what waits lies in the kernel. We read more
// than one message at a time, so the last byte stays there (read_held_back). One thread at a time.
class EventStream {
  public:
    explicit EventStream(zmtp::Connection connection) : connection_(std::move(connection)) {}

    [[nodiscard]] int fd() const { return connection_.fd(); }

    // Another connection goes on under the number of this one's descriptor.
    void follow(zmtp::Connection next) { take_place(connection_, std::move(next)); }

    // The next message, or nothing when none is whole yet.
    base::Expected<std::optional<base::Buffer>, zmtp::ConnectionError> next();

    // The two halves of next(): the next message if it is whole …
    base::Expected<std::optional<base::Buffer>, zmtp::ConnectionError> take() {
        return connection_.next_message();
    }
    // … and more of it when it was not; false: nothing came.
    base::Expected<bool, zmtp::ConnectionError> read();
    // What is there of the message that was not whole. Stays until the next call.
    [[nodiscard]] std::span<const std::byte> begun() { return connection_.begun_message(); }

    // Some of a later message was read. Then the descriptor is readable, too.
    [[nodiscard]] bool has_more() const { return connection_.begun_bytes() > 0; }

    // The descriptor that came with what was read (zmtp::Connection::take_descriptor()).
    [[nodiscard]] os::UniqueFd take_descriptor() { return connection_.take_descriptor(); }

    // Queues and writes a small message of ours, unless earlier ones still wait for the daemon.
    void send(const base::Buffer& message);

  private:
    zmtp::Connection connection_;
};

}  // namespace client
