// One ZeroMQ connection (ZMTP 3.1, NULL mechanism) over a connected stream socket, inside the
// caller's event loop and without a thread. A libzmq peer can't tell the difference: the listening
// side speaks as a ROUTER, the connecting side as a DEALER, each message has one part.
//
// Source: ZeroMQ RFC 37/ZMTP 3.1. Why not libzmq here: docs/ARCHITECTURE.md, the message path.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/result.hpp"
#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"

namespace zmtp {

enum class Side : std::uint8_t { Listening, Connecting };

// Who is at the other end, as the kernel says (SO_PEERCRED, SO_PEERGROUPS at accept).
struct PeerCredentials {
    std::uint32_t uid = UINT32_MAX;
    std::uint32_t gid = UINT32_MAX;
    std::int32_t pid = 0;
    std::vector<std::uint32_t> groups;
};

struct Limits {
    std::size_t message_bytes_max = std::size_t{20}
                                    << 20u;                // A longer message ends the connection.
    std::size_t queue_bytes_max = std::size_t{16} << 20u;  // Not yet written; send() refuses above.
    std::size_t read_bytes = std::size_t{256} << 10u;      // Read in one call.
};

enum class ConnectionError : std::uint8_t {
    Closed,    // The peer is gone.
    Protocol,  // What came is no ZMTP, no DEALER/ROUTER, several parts, or too long.
    System,    // A system call failed; last_errno() says how.
};

// Non-blocking. The owner watches fd() for EPOLLIN, and for EPOLLOUT while wants_write().
class Connection {
  public:
    Connection(os::UniqueFd socket, Side side, const Limits& limits);

    [[nodiscard]] int fd() const;
    [[nodiscard]] bool is_ready() const;  // The handshake is done; send() before that is queued.

    // Reads what is there, up to one Limits::read_bytes a call, and gives each whole message to
    // `message`, in order. The Buffers share the read memory. Returns false when nothing was left
    // to read. After an error the connection is dead.
    base::Expected<bool, ConnectionError> receive(const std::function<void(base::Buffer)>& message);

    // Queues one message of `head` and then `body` (no copy of either). False: the queue is full
    // and nothing was taken. Call flush() once a turn of the loop.
    [[nodiscard]] bool send(base::Buffer head, base::Buffer body = {});

    // Writes as much as the kernel takes, in as few writev as possible.
    base::Expected<void, ConnectionError> flush();

    [[nodiscard]] bool wants_write() const;
    [[nodiscard]] std::size_t queued_bytes() const;
    [[nodiscard]] int last_errno() const;
};

}  // namespace zmtp
