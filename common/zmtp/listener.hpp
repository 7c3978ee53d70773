// A listening UNIX socket for ZeroMQ peers (ipc://<path>) and who connects to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"
#include "common/zmtp/connection.hpp"

namespace zmtp {

struct Accepted {
    os::UniqueFd socket;
    PeerCredentials peer;  // Without groups.
};

class Listener {
  public:
    // Makes the socket file, connectable by all (rules look at credentials). What a dead listener
    // left at `path` is replaced; a living one is EADDRINUSE.
    static os::Result<Listener> listen(const std::string& path);

    // A listening socket handed down by systemd or a supervisor. Never listens again: clients see
    // the credentials of the process that called listen(2) last.
    static os::Result<Listener> inherit(os::UniqueFd socket);

    // The next connection; nothing: none waits. When descriptors have run out the waiting peer is
    // closed, so that it does not wait for ever and the event loop does not spin.
    os::Result<std::optional<Accepted>> accept();

    [[nodiscard]] int fd() const { return socket_.get(); }
    // Gives up the socket, for a supervisor or the next program image.
    [[nodiscard]] os::UniqueFd release() && { return std::move(socket_); }

  private:
    explicit Listener(os::UniqueFd socket);

    os::UniqueFd socket_;
    os::UniqueFd spare_;  // Given up for a moment to accept and close when there is no other.
};

// The supplementary groups of the peer of an accepted socket.
[[nodiscard]] std::vector<std::uint32_t> groups_of_peer(int socket);

// Readable when `pid`, the peer of an accepted socket, ends, also while a child of it holds the
// socket open. Not open: the process is gone, or in a pid namespace that we don't see.
[[nodiscard]] os::UniqueFd process_of_peer(int socket, std::int32_t pid);

// A stream socket connected to `path`, close-on-exec and non-blocking. It does not wait: a full
// backlog is EAGAIN, nobody there is ECONNREFUSED or ENOENT.
[[nodiscard]] os::Result<os::UniqueFd> connect_to(const std::string& path);

// Who opened the listener that `socket` is connected to: root, or whoever is root's stand-in here
// (a node that an ordinary user runs has nothing of root's). Something else is EACCES: another
// process has put its socket in that place.
[[nodiscard]] os::Result<void> check_listener(int socket);

}  // namespace zmtp
