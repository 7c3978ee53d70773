// A listening UNIX socket for ZeroMQ peers (ipc://<path>) and who connects to it.
#pragma once

#include <optional>
#include <string>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"
#include "common/zmtp/connection.hpp"

namespace zmtp {

struct Accepted {
    os::UniqueFd socket;
    PeerCredentials peer;
    // Readable when the peer's process ends, also while a child of it holds the socket open. Closed
    // when the peer is in a pid namespace that we don't see.
    os::UniqueFd process;
};

class Listener {
  public:
    // Makes the socket file, connectable by all (rules look at credentials). What a dead listener
    // left at `path` is replaced; a living one is EADDRINUSE.
    static os::Result<Listener> listen(const std::string& path);

    // A listening socket handed down by systemd or a supervisor. Never listens again: clients see
    // the credentials of the process that called listen(2) last.
    static os::Result<Listener> inherit(os::UniqueFd socket);

    // The next connection; nothing: none waits. A peer that went away at once is skipped. When
    // descriptors have run out the waiting peer is closed, so that it does not wait for ever and
    // the event loop does not spin.
    os::Result<std::optional<Accepted>> accept();

    [[nodiscard]] int fd() const { return socket_.get(); }
    // Gives up the socket, for a supervisor or the next program image.
    [[nodiscard]] os::UniqueFd release() && { return std::move(socket_); }

  private:
    explicit Listener(os::UniqueFd socket);

    os::UniqueFd socket_;
    os::UniqueFd spare_;  // Given up for a moment to accept and close when there is no other.
};

// A stream socket connected to `path`, close-on-exec and non-blocking. It does not wait: a full
// backlog is EAGAIN, nobody there is ECONNREFUSED or ENOENT.
[[nodiscard]] os::Result<os::UniqueFd> connect_to(const std::string& path);

// Who opened the listener that `socket` is connected to: root, or whoever is root's stand-in here
// (a node that an ordinary user runs has nothing of root's). Something else is EACCES: another
// process has put its socket in that place.
[[nodiscard]] os::Result<void> check_listener(int socket);

}  // namespace zmtp
