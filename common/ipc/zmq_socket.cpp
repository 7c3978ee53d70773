#include "common/ipc/zmq_socket.hpp"

#include <unistd.h>

#include <charconv>
#include <memory>
#include <mutex>
#include <zmq.hpp>

#include "common/os/unique_fd.hpp"

namespace ipc {
namespace {

auto failed(std::string what, const zmq::error_t& error) {
    return base::fail(os::Error{.what = std::move(what), .code = error.num()});
}

zmq::socket_type type_of(ZmqSocket::Kind kind) {
    switch (kind) {
        case ZmqSocket::Kind::Router:
            return zmq::socket_type::router;
        case ZmqSocket::Kind::Dealer:
            return zmq::socket_type::dealer;
        case ZmqSocket::Kind::Publish:
            return zmq::socket_type::pub;
    }
    return zmq::socket_type::dealer;
}

template <class Integer>
bool take_number(std::string_view& text, Integer& value) {
    if (text.empty() || text.front() != ':') return false;
    text.remove_prefix(1);
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    return true;
}

std::optional<Peer> peer_of(zmq::message_t& message) {
    // Null (and no exception) where the connection has no metadata. "User-Id" would be what the
    // peer says of itself, and the descriptor number may be another's by now: neither is used.
    const char* address = ::zmq_msg_gets(message.handle(), "Peer-Address");
    if (address == nullptr) return std::nullopt;
    return parse_peer_address(address);
}

}  // namespace

std::optional<Peer> parse_peer_address(const std::string& address) {
    constexpr std::string_view kPrefix = "localhost";
    std::string_view rest = address;
    if (!rest.starts_with(kPrefix)) return std::nullopt;
    rest.remove_prefix(kPrefix.size());
    Peer peer;
    if (!take_number(rest, peer.uid) || !take_number(rest, peer.gid)) return std::nullopt;
    if (!take_number(rest, peer.pid) || !rest.empty()) return std::nullopt;
    return peer;
}

namespace {

// One for all sockets of the process: each has two threads and five descriptors, and cmapd has four
// sockets. It goes with the last of them. A child made by fork can use none of its parent's.
std::shared_ptr<zmq::context_t> shared_context() {
    static std::mutex mutex;
    static std::weak_ptr<zmq::context_t> shared;
    const std::lock_guard lock(mutex);
    auto context = shared.lock();
    if (!context) shared = context = std::make_shared<zmq::context_t>(1);
    return context;
}

}  // namespace

struct ZmqSocket::Parts {
    std::shared_ptr<zmq::context_t> context = shared_context();
    zmq::socket_t socket;  // Behind its context, so that it is closed first.
};

ZmqSocket::ZmqSocket(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ZmqSocket::ZmqSocket(ZmqSocket&&) noexcept = default;
ZmqSocket& ZmqSocket::operator=(ZmqSocket&&) noexcept = default;
ZmqSocket::~ZmqSocket() = default;

os::Result<ZmqSocket> ZmqSocket::create(Kind kind, Limits limits) {
    try {
        auto parts = std::make_unique<Parts>();
        parts->socket = zmq::socket_t(*parts->context, type_of(kind));
        // What is not yet written when we end is not worth waiting for.
        parts->socket.set(zmq::sockopt::linger, 0);
        parts->socket.set(zmq::sockopt::sndhwm, limits.queued_max);
        parts->socket.set(zmq::sockopt::rcvhwm, limits.queued_max);
        parts->socket.set(zmq::sockopt::maxmsgsize, limits.bytes_max);
        return ZmqSocket(std::move(parts));
    } catch (const zmq::error_t& error) {
        return failed("zmq socket", error);
    }
}

os::Result<void> ZmqSocket::bind(const std::string& path, std::optional<int> listener) {
    os::UniqueFd duplicate;
    try {
        if (listener) {
            duplicate = os::UniqueFd(::dup(*listener));
            if (!duplicate.is_open()) return os::last_error("dup of the listener of " + path);
            parts_->socket.set(zmq::sockopt::use_fd, duplicate.get());
        }
        parts_->socket.bind("ipc://" + path);
        (void)duplicate.release();  // libzmq closes it with the socket.
        return {};
    } catch (const zmq::error_t& error) {
        return failed("listen at " + path, error);
    }
}

os::Result<void> ZmqSocket::connect(const std::string& path) {
    try {
        parts_->socket.connect("ipc://" + path);
        return {};
    } catch (const zmq::error_t& error) {
        return failed("connect to " + path, error);
    }
}

int ZmqSocket::descriptor() const {
    return parts_->socket.get(zmq::sockopt::fd);
}

bool ZmqSocket::is_readable() const {
    try {
        return (parts_->socket.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0;
    } catch (const zmq::error_t&) {
        return false;  // Interrupted by a signal: the descriptor stays readable.
    }
}

os::Result<std::optional<ZmqMessage>> ZmqSocket::receive(base::Duration timeout) {
    try {
        const auto wait = std::chrono::ceil<std::chrono::milliseconds>(timeout);
        parts_->socket.set(zmq::sockopt::rcvtimeo, static_cast<int>(wait.count()));
        ZmqMessage received;
        for (bool more = true; more;) {
            zmq::message_t frame;
            if (!parts_->socket.recv(frame)) return std::optional<ZmqMessage>{};
            received.peer = peer_of(frame);  // The routing id that ROUTER puts in front has none.
            received.frames.push_back(frame.to_string());
            more = frame.more();
        }
        return std::optional<ZmqMessage>(std::move(received));
    } catch (const zmq::error_t& error) {
        if (error.num() == EINTR) return std::optional<ZmqMessage>{};
        return failed("receive", error);
    }
}

os::Result<bool> ZmqSocket::send(const std::vector<std::string>& frames) {
    try {
        for (std::size_t i = 0; i < frames.size(); ++i) {
            const auto more =
                i + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none;
            if (!parts_->socket.send(zmq::buffer(frames[i]), more | zmq::send_flags::dontwait))
                return false;
        }
        return true;
    } catch (const zmq::error_t& error) {
        if (error.num() == EHOSTUNREACH) return false;
        return failed("send", error);
    }
}

}  // namespace ipc
