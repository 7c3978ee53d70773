#include "tests/unit/common/ring_client/relay.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/base/invariant.hpp"

namespace {

zmtp::Listener listen_at(const std::string& path) {
    auto listener = zmtp::Listener::listen(path);
    INVARIANT(listener.has_value());
    return std::move(*listener);
}

}  // namespace

Relay::Relay(const std::string& path, std::string target)
    : listener_(listen_at(path)), target_(std::move(target)) {}

void Relay::turn() {
    accept();
    wires_.remove_if([this](Wire& wire) { return !carry(wire); });
    if (bytes_left_ == std::size_t{0}) {
        cut();
        bytes_left_.reset();
    }
}

void Relay::cut() {
    wires_.clear();
}

void Relay::accept() {
    for (;;) {
        auto accepted = listener_.accept();
        INVARIANT(accepted.has_value());
        if (!*accepted) return;
        auto far = zmtp::connect_to(target_);
        if (!far) continue;  // Nobody is there: the near end is closed.
        Wire& wire = wires_.emplace_back();
        wire.near = std::move((*accepted)->socket);
        wire.far = std::move(*far);
    }
}

bool Relay::carry(Wire& wire) {
    return move(wire.near.get(), wire.far.get(), wire.to_far) &&
           move(wire.far.get(), wire.near.get(), wire.to_near);
}

bool Relay::move(int from, int to, std::string& waiting) {
    std::array<char, 65536> bytes{};
    const std::size_t room = std::min(bytes.size(), bytes_left_.value_or(bytes.size()));
    if (waiting.empty() && room > 0) {
        const ssize_t got = ::recv(from, bytes.data(), room, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
        if (got > 0) waiting.assign(bytes.data(), static_cast<std::size_t>(got));
        if (got > 0 && bytes_left_) *bytes_left_ -= static_cast<std::size_t>(got);
    }
    if (waiting.empty()) return true;
    const ssize_t sent = ::send(to, waiting.data(), waiting.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    waiting.erase(0, static_cast<std::size_t>(sent));
    return true;
}
