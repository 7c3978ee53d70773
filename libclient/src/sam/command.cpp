#include "libclient/src/sam/command.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace sam {

bool send_all(int fd, const void* bytes, std::size_t size) {
    const auto* next = static_cast<const std::byte*>(bytes);
    while (size > 0) {
        const ssize_t sent = ::send(fd, next, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        next += sent;
        size -= static_cast<std::size_t>(sent);
    }
    return true;
}

bool receive_all(int fd, void* bytes, std::size_t size) {
    auto* next = static_cast<std::byte*>(bytes);
    while (size > 0) {
        const ssize_t got = ::recv(fd, next, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        next += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

std::optional<Ends> connected_ends() {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) return std::nullopt;
    return Ends{.worker = os::UniqueFd(fds[0]), .supervisor = os::UniqueFd(fds[1])};
}

}  // namespace sam
