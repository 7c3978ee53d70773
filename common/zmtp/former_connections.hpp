// The clients' connections of a daemon's last life, which the service manager kept open.
#pragma once

#include <list>

#include "common/os/event_loop.hpp"
#include "common/os/unique_fd.hpp"

namespace zmtp {

// A daemon that dies does not close what it left in the descriptor store (Server::keep()): its
// clients see no hang-up. What was under way on such a connection is lost, so nothing goes on
// there; the client is told, once the daemon serves again, by the end of what it reads, which gives
// it POLLIN alone. It then comes back by a new connection, and closes this one.
class FormerConnections {
  public:
    explicit FormerConnections(os::EventLoop& loop) : loop_(loop) {}
    ~FormerConnections();
    FormerConnections(const FormerConnections&) = delete;
    FormerConnections& operator=(const FormerConnections&) = delete;
    FormerConnections(FormerConnections&&) = delete;
    FormerConnections& operator=(FormerConnections&&) = delete;

    // A connected stream socket. It is closed when its client has closed it.
    void add(os::UniqueFd connection);

    // Tells all that are here. Their requests are still not read.
    void tell();

    [[nodiscard]] std::size_t count() const { return connections_.size(); }

  private:
    void forget(int fd);

    os::EventLoop& loop_;
    std::list<os::UniqueFd> connections_;
};

}  // namespace zmtp
