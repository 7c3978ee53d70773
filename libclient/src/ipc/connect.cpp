#include "libclient/src/ipc/connect.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

#include "common/zmtp/listener.hpp"
#include "libclient/src/base/cancellation.hpp"

namespace client {
namespace {

constexpr const char* kRunDir = "/run/halo";
// A message of the largest size that goes in one part, with its heads.
constexpr std::size_t kKeptBytes = (std::size_t{1} << 20u) + 4096;

std::string socket_path(std::string_view name) {
    const char* dir = ::secure_getenv("HALO_RUN_DIR");
    return std::string(dir == nullptr ? kRunDir : dir) + "/" + std::string(name);
}

cs_error_t connect_error(int error) {
    switch (error) {
        case EACCES:
        case EPERM:
            return CS_ERR_ACCESS;
        case EAGAIN:  // The listener's backlog is full.
            return CS_ERR_TRY_AGAIN;
        case EMFILE:
        case ENFILE:
            return CS_ERR_NO_RESOURCES;
        case ENOMEM:
        case ENOBUFS:
            return CS_ERR_NO_MEMORY;
        default:  // ENOENT, ECONNREFUSED, ENOTDIR, …: there is no daemon.
            return CS_ERR_LIBRARY;
    }
}

CsResult<os::UniqueFd> connect(std::string_view name) {
    auto fd = zmtp::connect_to(socket_path(name));
    if (!fd) return base::fail(connect_error(fd.error().code));
    return *std::move(fd);
}

// Whole milliseconds until `deadline`, rounded up; -1: no end.
int timeout_ms(std::optional<Clock::time_point> deadline) {
    if (!deadline) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
}

}  // namespace

bool wait_readable(int fd, std::optional<Clock::time_point> deadline) {
    for (;;) {
        const int timeout = timeout_ms(deadline);
        pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
        int ready = 0;
        {
            const CancellationShield::Opening opening;
            ready = ::poll(&watched, 1, timeout);
        }
        if (ready > 0) return true;
        if (ready == 0 && deadline && Clock::now() >= *deadline) return false;
        // A signal: its handler has run, and we go on waiting.
    }
}

bool is_hung_up(int fd) {
    pollfd watched{.fd = fd, .events = POLLRDHUP, .revents = 0};
    return ::poll(&watched, 1, 0) > 0 && (watched.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

bool is_served(std::string_view name) {
    const auto fd = connect(name);
    return fd || fd.error() != CS_ERR_LIBRARY;
}

base::Expected<std::size_t, zmtp::ConnectionError> read_held_back(zmtp::Connection& connection) {
    int waiting = 0;
    // It fails on no socket; and without a number one byte is always right.
    (void)::ioctl(connection.fd(), FIONREAD, &waiting);
    return connection.read_some(waiting > 1 ? static_cast<std::size_t>(waiting) - 1 : 1);
}

namespace {

// Goes on with the handshake until `is_done` gives something.
template <class IsDone>
auto shake_hands(std::string_view name, const base::Buffer& first, const Kind& kind, IsDone is_done)
    -> decltype(is_done(std::declval<zmtp::Connection&>(), Clock::time_point())) {
    auto fd = connect(name);
    if (!fd) return base::fail(fd.error());

    const auto deadline = Clock::now() + kHandshakeTimeout;
    zmtp::Connection connection(*std::move(fd), zmtp::Side::Connecting,
                                zmtp::Limits{.kept_bytes = kKeptBytes,
                                             .features = kind.features,
                                             .sends_early = true,
                                             .takes_descriptor = kind.takes_descriptor});
    if (!connection.send(first)) return base::fail(CS_ERR_LIBRARY);
    for (bool has_come = false;;) {
        if (!connection.flush()) return base::fail(CS_ERR_LIBRARY);
        auto done = is_done(connection, deadline);
        if (!done || *done) return done;
        if (!has_come && !wait_readable(connection.fd(), deadline))
            return base::fail(CS_ERR_TRY_AGAIN);
        const auto came = kind.is_polled ? read_held_back(connection)
                                         : connection.read_some(zmtp::Limits{}.read_bytes);
        if (!came) return base::fail(CS_ERR_LIBRARY);
        has_come = *came > 0;
    }
}

}  // namespace

CsResult<Opened> open_connection(std::string_view name, const base::Buffer& first,
                                 const Kind& kind) {
    const auto is_done = [](zmtp::Connection& connection,
                            Clock::time_point) -> CsResult<std::optional<Opened>> {
        auto answer = connection.next_message();
        if (!answer) return base::fail(CS_ERR_LIBRARY);
        if (!*answer) return std::optional<Opened>();
        return Opened{std::move(connection), **std::move(answer)};
    };
    auto opened = shake_hands(name, first, kind, is_done);
    if (!opened) return base::fail(opened.error());
    return **std::move(opened);
}

CsResult<zmtp::Connection> begin_connection(std::string_view name, const base::Buffer& first,
                                            const Kind& kind) {
    const auto is_done =
        [](zmtp::Connection& connection,
           Clock::time_point deadline) -> CsResult<std::optional<zmtp::Connection>> {
        const auto is_ready = connection.go_on_with_handshake();
        if (!is_ready) return base::fail(CS_ERR_LIBRARY);
        if (!*is_ready) return std::optional<zmtp::Connection>();
        if (!wait_readable(connection.fd(), deadline)) return base::fail(CS_ERR_TRY_AGAIN);
        return std::move(connection);
    };
    auto begun = shake_hands(name, first, kind, is_done);
    if (!begun) return base::fail(begun.error());
    return **std::move(begun);
}

}  // namespace client
