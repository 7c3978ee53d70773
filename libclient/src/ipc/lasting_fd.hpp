// A descriptor number that stays the same while the socket behind it is replaced.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/os/unique_fd.hpp"
#include "common/zmtp/connection.hpp"
#include "libclient/src/ipc/epoll_watches.hpp"

namespace client {

// The end of the stream for all who wait on the descriptor here: readable, and no POLLHUP.
inline void end_reading(int fd) {
    // It fails when the peer was first; so below.
    (void)::shutdown(fd, SHUT_RD);
}

// Ends the connection for all who wait on it, here and at the peer.
inline void hang_up(int fd) {
    (void)::shutdown(fd, SHUT_RDWR);
}

// `next` goes on in the place of `former`, under the number of its descriptor: what waits on the
// number and what is written to it go to the new socket from now on. Who watches the number with
// epoll watches the new socket.
//
// poll() and select() look up the number at each look, but register with the socket that they found
// first: who was woken by the end of the old one may find the new one here, and sleep on where
// nothing comes any more. So the old one wakes all once again: make the new one readable before,
// and they return.
inline void take_place(zmtp::Connection& former, zmtp::Connection next) {
    os::UniqueFd number = former.exchange_descriptor({});
    const EpollWatches watches(number.get());
    const os::UniqueFd old(::fcntl(number.get(), F_DUPFD_CLOEXEC, 0));
    watches.remove();
    while (::dup3(next.fd(), number.get(), O_CLOEXEC) < 0 && errno == EINTR) {
    }
    watches.restore();
    hang_up(old.get());
    next.exchange_descriptor(std::move(number)).reset();  // One of the two suffices.
    former = std::move(next);
}

}  // namespace client
