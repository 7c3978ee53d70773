#include "common/zmtp/former_connections.hpp"

#include <sys/socket.h>

namespace zmtp {

FormerConnections::~FormerConnections() {
    for (const os::UniqueFd& connection : connections_) {
        loop_.remove(connection.get());
    }
}

void FormerConnections::add(os::UniqueFd connection) {
    const int fd = connection.get();
    // EPOLLHUP comes unasked. Not watched, it would only stay until our end.
    if (!loop_.add(fd, 0, [this, fd](std::uint32_t) { forget(fd); })) return;
    connections_.push_back(std::move(connection));
}

void FormerConnections::tell() {
    for (const os::UniqueFd& connection : connections_) {
        (void)::shutdown(connection.get(), SHUT_WR);  // It fails for who is gone.
    }
}

void FormerConnections::forget(int fd) {
    loop_.remove(fd);
    connections_.remove_if([fd](const os::UniqueFd& each) { return each.get() == fd; });
}

}  // namespace zmtp
