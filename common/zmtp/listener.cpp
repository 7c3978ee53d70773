#include "common/zmtp/listener.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace zmtp {
namespace {

constexpr int kBacklog = 4096;  // The kernel cuts it to net.core.somaxconn.
constexpr int kAcceptsSkippedMax = 64;

os::Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return base::fail(os::Error{.what = "socket path " + path, .code = ENAMETOOLONG});
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

const sockaddr* generic(const sockaddr_un& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

os::UniqueFd stream_socket() {
    return os::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

std::optional<int> socket_option(int socket, int option) {
    int value = 0;
    socklen_t size = sizeof(value);
    if (::getsockopt(socket, SOL_SOCKET, option, &value, &size) != 0) return std::nullopt;
    return value;
}

bool is_open_at_the_other_end(int socket) {
    std::byte byte{};
    const ssize_t got = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && errno == EAGAIN);
}

}  // namespace

Listener::Listener(os::UniqueFd socket)
    : socket_(std::move(socket)), spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

os::Result<Listener> Listener::listen(const std::string& path) {
    const auto address = address_of(path);
    if (!address) return base::fail(address.error());
    // Only a socket that nobody serves may go.
    const auto living = connect_to(path);
    if (living || living.error().code == EAGAIN) {
        return base::fail(os::Error{.what = "listen at " + path, .code = EADDRINUSE});
    }
    if (living.error().code == ECONNREFUSED && ::unlink(path.c_str()) != 0) {
        return os::last_error("unlink " + path);
    }

    os::UniqueFd socket = stream_socket();
    if (!socket.is_open()) return os::last_error("socket");
    if (::bind(socket.get(), generic(*address), sizeof(*address)) != 0) {
        return os::last_error("bind " + path);
    }
    // Who may do what is decided by credentials, so everybody may connect (and be told why not).
    if (::chmod(path.c_str(), 0666) != 0) return os::last_error("chmod " + path);
    if (::listen(socket.get(), kBacklog) != 0) return os::last_error("listen at " + path);
    return Listener(std::move(socket));
}

os::Result<Listener> Listener::inherit(os::UniqueFd socket) {
    const auto domain = socket_option(socket.get(), SO_DOMAIN);
    const auto type = socket_option(socket.get(), SO_TYPE);
    const auto listening = socket_option(socket.get(), SO_ACCEPTCONN);
    if (domain != AF_UNIX || type != SOCK_STREAM || listening != 1) {
        return base::fail(
            os::Error{.what = "inherited descriptor is no listening UNIX stream socket"});
    }
    const int flags = ::fcntl(socket.get(), F_GETFL);
    if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0 ||
        ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0) {
        return os::last_error("fcntl");
    }
    return Listener(std::move(socket));
}

os::Result<std::optional<Accepted>> Listener::accept() {
    for (int tries = 0; tries < kAcceptsSkippedMax; ++tries) {
        Accepted accepted;
        accepted.socket =
            os::UniqueFd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!accepted.socket.is_open()) {
            if (errno == EAGAIN) return std::nullopt;
            if (errno == EINTR || errno == ECONNABORTED) continue;
            auto error = os::last_error("accept");
            if (error.value().code == EMFILE || error.value().code == ENFILE) {
                spare_.reset();
                os::UniqueFd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)).reset();
                spare_ = os::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
            }
            return error;
        }

        ucred credentials{};
        socklen_t size = sizeof(credentials);
        if (::getsockopt(accepted.socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) !=
            0) {
            continue;
        }
        accepted.peer.uid = credentials.uid;
        accepted.peer.gid = credentials.gid;
        accepted.peer.pid = credentials.pid;
        return accepted;
    }
    return std::nullopt;
}

std::vector<std::uint32_t> groups_of_peer(int socket) {
    std::vector<gid_t> groups(32);
    for (;;) {
        auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
        if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0) {
            groups.resize(size / sizeof(gid_t));
            return {groups.begin(), groups.end()};
        }
        if (errno != ERANGE || size <= groups.size() * sizeof(gid_t)) return {};
        groups.resize(size / sizeof(gid_t));
    }
}

os::UniqueFd process_of_peer(int socket, std::int32_t pid) {
    if (pid <= 0) return {};
    os::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    // The pid may have been used again before the call, but not while its first owner still holds
    // the socket.
    if (!is_open_at_the_other_end(socket)) process.reset();
    return process;
}

os::Result<void> check_listener(int socket) {
    ucred listener{};
    socklen_t size = sizeof(listener);
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &listener, &size) != 0)
        return os::last_error("SO_PEERCRED");
    if (listener.uid == 0 || listener.uid == ::geteuid()) return {};
    return base::fail(os::Error{.what = "the socket was opened by uid " +
                                        std::to_string(listener.uid) +
                                        ", which is neither root nor us",
                                .code = EACCES});
}

os::Result<os::UniqueFd> connect_to(const std::string& path) {
    const auto address = address_of(path);
    if (!address) return base::fail(address.error());
    os::UniqueFd socket = stream_socket();
    if (!socket.is_open()) return os::last_error("socket");
    if (::connect(socket.get(), generic(*address), sizeof(*address)) != 0) {
        return os::last_error("connect to " + path);
    }
    return socket;
}

}  // namespace zmtp
