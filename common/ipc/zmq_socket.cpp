#include "common/ipc/zmq_socket.hpp"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>
#include <mutex>

#include "common/ipc/zmq_library.hpp"
#include "common/os/unique_fd.hpp"

namespace ipc {
namespace {

// libzmq tells its errors in errno.
int type_of(ZmqSocket::Kind kind) {
    switch (kind) {
        case ZmqSocket::Kind::Router:
            return ZMQ_ROUTER;
        case ZmqSocket::Kind::Dealer:
            return ZMQ_DEALER;
    }
    return ZMQ_DEALER;
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
os::Result<std::shared_ptr<void>> shared_context(const ZmqLibrary& zmq) {
    static std::mutex mutex;
    static std::weak_ptr<void> shared;
    const std::lock_guard lock(mutex);
    auto context = shared.lock();
    if (context) return context;
    void* made = zmq.ctx_new();
    if (made == nullptr) return os::last_error("zmq context");
    context = std::shared_ptr<void>(made, zmq.ctx_term);
    shared = context;
    return context;
}

// A message while it is received.
struct Frame {
    explicit Frame(const ZmqLibrary& library) : zmq(library) { (void)zmq.msg_init(&message); }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;
    ~Frame() { (void)zmq.msg_close(&message); }

    [[nodiscard]] std::string text() {
        return {static_cast<const char*>(zmq.msg_data(&message)), zmq.msg_size(&message)};
    }
    // Null where the connection has no metadata. "User-Id" would be what the peer says of itself,
    // and the descriptor number may be another's by now: neither is used.
    [[nodiscard]] std::optional<Peer> peer() {
        const char* address = zmq.msg_gets(&message, "Peer-Address");
        if (address == nullptr) return std::nullopt;
        return parse_peer_address(address);
    }

    const ZmqLibrary& zmq;
    zmq_msg_t message{};
};

}  // namespace

struct ZmqSocket::Parts {
    Parts(const ZmqLibrary& library, std::shared_ptr<void> with, void* made)
        : zmq(library), context(std::move(with)), socket(made) {}
    Parts(const Parts&) = delete;
    Parts& operator=(const Parts&) = delete;
    ~Parts() { (void)zmq.close(socket); }

    template <class Value>
    [[nodiscard]] bool set(int option, Value value) {
        return zmq.setsockopt(socket, option, &value, sizeof(value)) == 0;
    }
    // Nothing: interrupted by a signal.
    [[nodiscard]] std::optional<int> get(int option) const {
        int value = 0;
        std::size_t bytes = sizeof(value);
        if (zmq.getsockopt(socket, option, &value, &bytes) != 0) return std::nullopt;
        return value;
    }

    const ZmqLibrary& zmq;
    std::shared_ptr<void> context;
    void* socket;  // Closed before its context goes.
};

ZmqSocket::ZmqSocket(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ZmqSocket::ZmqSocket(ZmqSocket&&) noexcept = default;
ZmqSocket& ZmqSocket::operator=(ZmqSocket&&) noexcept = default;
ZmqSocket::~ZmqSocket() = default;

os::Result<ZmqSocket> ZmqSocket::create(Kind kind, Limits limits) {
    const auto zmq = zmq_library();
    if (!zmq) return base::fail(zmq.error());
    auto context = shared_context(**zmq);
    if (!context) return base::fail(context.error());
    void* socket = (*zmq)->socket(context->get(), type_of(kind));
    if (socket == nullptr) return os::last_error("zmq socket");
    auto parts = std::make_unique<Parts>(**zmq, *std::move(context), socket);
    // What is not yet written when we end is not worth waiting for.
    const bool is_set = parts->set(ZMQ_LINGER, 0) && parts->set(ZMQ_SNDHWM, limits.queued_max) &&
                        parts->set(ZMQ_RCVHWM, limits.queued_max) &&
                        parts->set(ZMQ_MAXMSGSIZE, limits.bytes_max);
    if (!is_set) return os::last_error("zmq socket");
    return ZmqSocket(std::move(parts));
}

os::Result<void> ZmqSocket::bind(const std::string& path, std::optional<int> listener) {
    os::UniqueFd duplicate;
    if (listener) {
        duplicate = os::UniqueFd(::dup(*listener));
        if (!duplicate.is_open()) return os::last_error("dup of the listener of " + path);
        if (!parts_->set(ZMQ_USE_FD, duplicate.get())) return os::last_error("listen at " + path);
    }
    const std::string address = "ipc://" + path;
    if (parts_->zmq.bind(parts_->socket, address.c_str()) != 0)
        return os::last_error("listen at " + path);
    (void)duplicate.release();  // libzmq closes it with the socket.
    return {};
}

os::Result<void> ZmqSocket::connect(const std::string& path) {
    const std::string address = "ipc://" + path;
    if (parts_->zmq.connect(parts_->socket, address.c_str()) != 0)
        return os::last_error("connect to " + path);
    return {};
}

int ZmqSocket::descriptor() const {
    return parts_->get(ZMQ_FD).value_or(-1);
}

bool ZmqSocket::is_readable() const {
    // Interrupted by a signal: the descriptor stays readable.
    return (parts_->get(ZMQ_EVENTS).value_or(0) & ZMQ_POLLIN) != 0;
}

os::Result<std::optional<ZmqMessage>> ZmqSocket::receive(base::Duration timeout) {
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(timeout);
    if (!parts_->set(ZMQ_RCVTIMEO, static_cast<int>(wait.count())))
        return os::last_error("receive");
    ZmqMessage received;
    for (bool more = true; more;) {
        Frame frame(parts_->zmq);
        if (parts_->zmq.msg_recv(&frame.message, parts_->socket, 0) < 0) {
            if (errno == EAGAIN || errno == EINTR) return std::optional<ZmqMessage>{};
            return os::last_error("receive");
        }
        received.peer = frame.peer();  // The routing id that ROUTER puts in front has none.
        received.frames.push_back(frame.text());
        more = parts_->zmq.msg_more(&frame.message) != 0;
    }
    return std::optional<ZmqMessage>(std::move(received));
}

os::Result<bool> ZmqSocket::send(const std::vector<std::string>& frames) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
        const int more = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
        const std::string& frame = frames[i];
        if (parts_->zmq.send(parts_->socket, frame.data(), frame.size(), more | ZMQ_DONTWAIT) >= 0)
            continue;
        if (errno == EAGAIN || errno == EHOSTUNREACH) return false;
        return os::last_error("send");
    }
    return true;
}

}  // namespace ipc
