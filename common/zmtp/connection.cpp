#include "common/zmtp/connection.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace zmtp {
namespace {

constexpr std::size_t kPiecesAWrite = 64;

// Room for the control message of one descriptor; CMSG_LEN of it is told to the kernel, so that no
// second one fits in the padding.
struct DescriptorMessage {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> bytes{};
};

bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK;
}
bool is_gone(int error) {
    return error == EPIPE || error == ECONNRESET;
}

}  // namespace

Connection::Connection(os::UniqueFd socket, Side side, const Limits& limits)
    : socket_(std::move(socket)),
      side_(side),
      limits_(limits),
      incoming_(side, limits.read_bytes, limits.message_bytes_max, limits.kept_bytes),
      outgoing_(limits.queue_bytes_max) {
    if (limits.send_buffer_bytes > 0) {
        // A smaller buffer is slower, not wrong.
        (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &limits.send_buffer_bytes,
                           sizeof limits.send_buffer_bytes);
    }
    say(encode_greeting());
    // The listening side first looks at what the peer is: it gets READY or ERROR.
    if (side_ == Side::Connecting) say(encode_ready(side_, limits_.features));
}

void Connection::say(std::span<const std::byte> command) {
    handshake_.insert(handshake_.end(), command.begin(), command.end());
}

base::Expected<bool, ConnectionError> Connection::receive(
    const std::function<void(base::Buffer)>& message) {
    const auto bytes = read_some(limits_.read_bytes);
    if (!bytes) return base::fail(bytes.error());
    for (;;) {
        auto next = next_message();
        if (!next) return base::fail(next.error());
        if (!*next) return *bytes > 0;
        message(*std::move(*next));
    }
}

base::Expected<std::size_t, ConnectionError> Connection::read_some(std::size_t bytes_max) {
    const auto room = incoming_.room();
    for (;;) {
        const ssize_t got = receive_into(room.first(std::min(room.size(), bytes_max)));
        if (got > 0) {
            incoming_.filled(static_cast<std::size_t>(got));
            return static_cast<std::size_t>(got);
        }
        if (got == 0) return base::fail(ConnectionError::Closed);
        if (errno == EINTR) continue;
        if (would_block(errno)) return std::size_t{0};
        errno_ = errno;
        return base::fail(is_gone(errno_) ? ConnectionError::Closed : ConnectionError::System);
    }
}

ssize_t Connection::receive_into(std::span<std::byte> room) {
    // The kernel closes what nobody made room for.
    if (!limits_.takes_descriptor)
        return ::recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT);
    iovec vector{.iov_base = room.data(), .iov_len = room.size()};
    DescriptorMessage control;
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_LEN(sizeof(int));
    const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const cmsghdr* const head = got < 0 ? nullptr : CMSG_FIRSTHDR(&message);
    const bool is_descriptor = head != nullptr && head->cmsg_level == SOL_SOCKET &&
                               head->cmsg_type == SCM_RIGHTS &&
                               head->cmsg_len == CMSG_LEN(sizeof(int));
    if (is_descriptor) {
        int descriptor = -1;
        std::memcpy(&descriptor, CMSG_DATA(head), sizeof(descriptor));
        received_ = os::UniqueFd(descriptor);
    }
    return got;
}

ssize_t Connection::send_message(msghdr& message) {
    DescriptorMessage control;
    if (attached_.is_open()) {
        message.msg_control = control.bytes.data();
        message.msg_controllen = CMSG_LEN(sizeof(int));
        cmsghdr* const head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        const int descriptor = attached_.get();
        std::memcpy(CMSG_DATA(head), &descriptor, sizeof(descriptor));
    }
    const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) attached_.reset();
    return sent;
}

base::Expected<std::optional<base::Buffer>, ConnectionError> Connection::next_message() {
    for (;;) {
        base::Buffer body;
        const auto found = next_item(body);
        if (!found) return base::fail(found.error());
        if (*found == Incoming::Found::Nothing) return std::nullopt;
        if (*found == Incoming::Found::Message) return body;
    }
}

base::Expected<bool, ConnectionError> Connection::go_on_with_handshake() {
    while (!is_ready()) {
        base::Buffer body;
        const auto found = next_item(body);
        if (!found) return base::fail(found.error());
        if (*found == Incoming::Found::Nothing) return false;
    }
    return true;
}

base::Expected<Incoming::Found, ConnectionError> Connection::next_item(base::Buffer& body) {
    const auto found = incoming_.next(body);
    if (!found) return refuse<Incoming::Found>(found.error());
    switch (*found) {
        case Incoming::Found::Nothing:
        case Incoming::Found::Message:
            break;
        case Incoming::Found::PeerReady:
            if (side_ == Side::Listening) say(encode_ready(side_, limits_.features));
            break;
        case Incoming::Found::PeerPing:
            // A peer that asks and never reads must not make the queue grow.
            if (outgoing_.queued_bytes() > limits_.queue_bytes_max) break;
            outgoing_.push_raw(encode_pong(body.bytes()));
            break;
        case Incoming::Found::PeerError: {
            const auto text = body.bytes();
            reason_ = "refused by the peer: " +
                      std::string(reinterpret_cast<const char*>(text.data()), text.size());
            return base::fail(ConnectionError::Protocol);
        }
    }
    return *found;
}

// Tells the peer why, as far as the kernel takes it at once.
template <class T>
base::Expected<T, ConnectionError> Connection::refuse(WireError error) {
    reason_ = text(error);
    if (!is_ready()) {
        const auto command = encode_error(reason_);
        // Not into the midst of a message.
        may_send() ? outgoing_.push_raw(command) : say(command);
        // The connection ends anyway: whether the peer hears why is a courtesy.
        (void)flush();
    }
    return base::fail(ConnectionError::Protocol);
}

bool Connection::send(std::span<const std::byte> head, const base::Buffer& body) {
    return outgoing_.push(head, body);
}

base::Expected<void, ConnectionError> Connection::flush() {
    while (wants_write()) {
        std::array<std::span<const std::byte>, kPiecesAWrite> pieces;
        std::size_t count = 0;
        if (!handshake_.empty()) pieces[count++] = handshake_;
        if (may_send()) count += outgoing_.gather(std::span(pieces).subspan(count));
        std::array<iovec, kPiecesAWrite> vectors{};
        std::size_t size = 0;
        for (std::size_t i = 0; i < count; ++i) {
            // The kernel only reads from them: iovec has no const.
            vectors[i] = {.iov_base = const_cast<std::byte*>(pieces[i].data()),
                          .iov_len = pieces[i].size()};
            size += pieces[i].size();
        }
        msghdr message{};
        message.msg_iov = vectors.data();
        message.msg_iovlen = count;
        const ssize_t sent = send_message(message);
        if (sent < 0) {
            if (errno == EINTR) continue;
            if (would_block(errno)) return {};
            errno_ = errno;
            return base::fail(is_gone(errno_) ? ConnectionError::Closed : ConnectionError::System);
        }
        const auto written = static_cast<std::size_t>(sent);
        const std::size_t said = std::min(written, handshake_.size());
        handshake_.erase(handshake_.begin(),
                         handshake_.begin() + static_cast<std::ptrdiff_t>(said));
        outgoing_.written(written - said);
        if (written < size) return {};  // The kernel's buffer is full.
    }
    return {};
}

}  // namespace zmtp
