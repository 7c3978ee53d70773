// One ZeroMQ connection (ZMTP 3.1, NULL mechanism) over a connected stream socket, inside the
// caller's event loop and without a thread. A libzmq peer can't tell the difference: the listening
// side speaks as a ROUTER, the connecting side as a DEALER, each message has one part.
//
// Source: ZeroMQ RFC 37/ZMTP 3.1. Why not libzmq here: docs/ARCHITECTURE.md, the message path.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/result.hpp"
#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"
#include "common/zmtp/incoming.hpp"
#include "common/zmtp/outgoing.hpp"
#include "common/zmtp/wire.hpp"

namespace zmtp {

// Who is at the other end, as the kernel says (SO_PEERCRED, SO_PEERGROUPS at accept).
struct PeerCredentials {
    std::uint32_t uid = UINT32_MAX;
    std::uint32_t gid = UINT32_MAX;
    std::int32_t pid = 0;
    std::vector<std::uint32_t> groups;  // For who asks (Limits::peer_groups).
};

struct Limits {
    std::size_t message_bytes_max = std::size_t{20}
                                    << 20u;                // A longer message ends the connection.
    std::size_t queue_bytes_max = std::size_t{16} << 20u;  // Not yet written; send() refuses above.
    std::size_t read_bytes = std::size_t{256} << 10u;      // Read in one call.
    std::size_t kept_bytes = 0;  // Of the memory of a long message, for the next one.
    std::uint32_t features = 0;  // What we say that we take (encode_ready()).
    // Of the kernel, as far as it gives so much: else a burst is written in parts. 0: its own.
    int send_buffer_bytes = 0;
    // The connecting side writes the first messages with its greeting, so that a connection costs
    // one round trip. For a listening side of ours: libzmq's refuses what comes before its READY.
    bool sends_early = false;
    bool peer_groups = false;  // The listening side asks for them: one more system call.
    // Keeps the descriptor that comes with the peer's bytes (attach()). Else it is closed.
    bool takes_descriptor = false;
};

enum class ConnectionError : std::uint8_t {
    Closed,    // The peer is gone.
    Protocol,  // What came is no ZMTP, no DEALER/ROUTER, several parts, or too long.
    System,    // A system call failed; last_errno() says how.
};

// Non-blocking, also on a blocking socket. The owner watches fd() for EPOLLIN, and for EPOLLOUT
// while wants_write().
class Connection {
  public:
    // The greeting is queued: flush() once, then watch.
    Connection(os::UniqueFd socket, Side side, const Limits& limits);

    [[nodiscard]] int fd() const { return socket_.get(); }
    // The handshake is done; send() before that is queued, unless Limits::sends_early.
    [[nodiscard]] bool is_ready() const { return incoming_.is_ready(); }

    // What the peer says that it takes (encode_ready()); 0 until is_ready().
    [[nodiscard]] std::uint32_t peer_features() const { return incoming_.peer_features(); }

    // Reads what is there, up to one Limits::read_bytes a call, and gives each whole message to
    // `message`, in order. The Buffers share the read memory. Returns false when nothing was left
    // to read. After an error the connection is dead. `message` must not destroy the connection.
    base::Expected<bool, ConnectionError> receive(const std::function<void(base::Buffer)>& message);

    // The two halves of receive(), for who wants messages one by one or leaves bytes in the kernel
    // (which keeps the descriptor readable): one read of at most `bytes_max`, which gives the bytes
    // that came (0: none there) …
    base::Expected<std::size_t, ConnectionError> read_some(std::size_t bytes_max);
    // … and the next whole message of what was read; nothing: read more first. Handshake and PING
    // are answered here: flush() after it when wants_write().
    base::Expected<std::optional<base::Buffer>, ConnectionError> next_message();
    // The same up to the end of the handshake (true: it is done), and no message is taken.
    base::Expected<bool, ConnectionError> go_on_with_handshake();

    // After next_message() gave nothing: what is there of the next one. The bytes stay until the
    // next call of either.
    [[nodiscard]] std::span<const std::byte> begun_message() { return incoming_.begun_message(); }

    // Queues one message of `head` and then `body` (small ones are copied, the body of a large one
    // is not). False: the queue is full and nothing was taken. Call flush() once a turn of the
    // loop.
    [[nodiscard]] bool send(std::span<const std::byte> head, const base::Buffer& body = {});
    [[nodiscard]] bool send(const base::Buffer& head, const base::Buffer& body = {}) {
        return send(head.bytes(), body);
    }

    // Sends a descriptor along (SCM_RIGHTS): it comes with what is written next, so before or with
    // the message that is sent next. One at a time: an earlier one that has not gone is dropped.
    void attach(os::UniqueFd descriptor) { attached_ = std::move(descriptor); }
    // The last one that came, once. Not open: none came.
    [[nodiscard]] os::UniqueFd take_descriptor() { return std::move(received_); }

    // The descriptor under which it goes on, another one of the same socket; gives the one that it
    // had. With none: it is at its end.
    [[nodiscard]] os::UniqueFd exchange_descriptor(os::UniqueFd descriptor) {
        return std::exchange(socket_, std::move(descriptor));
    }

    // Writes as much as the kernel takes, in as few writev as possible.
    base::Expected<void, ConnectionError> flush();

    // Bytes that were read and are no whole message yet.
    [[nodiscard]] std::size_t begun_bytes() const { return incoming_.waiting_bytes(); }

    [[nodiscard]] bool wants_write() const {
        return !handshake_.empty() || (may_send() && !outgoing_.empty());
    }
    [[nodiscard]] std::size_t queued_bytes() const { return outgoing_.queued_bytes(); }
    [[nodiscard]] int last_errno() const { return errno_; }
    // For people, after ConnectionError::Protocol: what was wrong, or what the peer says is.
    [[nodiscard]] const std::string& reason() const { return reason_; }

  private:
    template <class T>
    base::Expected<T, ConnectionError> refuse(WireError error);
    // What was found, and done about it when it is the connection's own.
    base::Expected<Incoming::Found, ConnectionError> next_item(base::Buffer& body);
    // Messages of ours may follow what we say of ourselves.
    [[nodiscard]] bool may_send() const {
        return is_ready() || (side_ == Side::Connecting && limits_.sends_early);
    }
    void say(std::span<const std::byte> command);
    ssize_t receive_into(std::span<std::byte> room);
    ssize_t send_message(msghdr& message);

    os::UniqueFd socket_;
    Side side_;
    Limits limits_;
    Incoming incoming_;
    std::vector<std::byte> handshake_;  // Greeting and READY: before anything of outgoing_.
    Outgoing outgoing_;
    os::UniqueFd attached_;
    os::UniqueFd received_;
    int errno_ = 0;
    std::string reason_;
};

}  // namespace zmtp
