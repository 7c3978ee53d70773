// A descriptor number that stays the same while the socket behind it is replaced.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "common/os/unique_fd.hpp"
#include "libclient/src/ipc/epoll_watches.hpp"

namespace client {

// What waits on the number and what is written to it go to the socket that it followed last.
class LastingFd {
  public:
    // Not open when descriptors have run out.
    explicit LastingFd(int fd) : fd_(::fcntl(fd, F_DUPFD_CLOEXEC, 0)) {}

    [[nodiscard]] int get() const { return fd_.get(); }
    [[nodiscard]] bool is_open() const { return fd_.is_open(); }

    // Both numbers now name the socket of `fd`; what this one named before is closed. Who watches
    // the number with epoll watches the new socket from now on.
    //
    // poll() and select() look up the number at each look, but register with the socket that they
    // found first: who was woken by the end of the old one may find the new one here, and sleep on
    // where nothing comes any more. So the old one wakes all once again: make the new one readable
    // before, and they return.
    void follow(int fd) {
        const EpollWatches watches(fd_.get());
        const os::UniqueFd former(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
        watches.remove();
        while (::dup3(fd, fd_.get(), O_CLOEXEC) < 0 && errno == EINTR) {
        }
        watches.restore();
        (void)::shutdown(former.get(), SHUT_RDWR);
    }

    // The end of the stream for all who wait on it here: readable, and no POLLHUP.
    void end_reading() const { (void)::shutdown(fd_.get(), SHUT_RD); }

    // Ends the connection for all who wait on it, here and at the peer.
    void hang_up() const {
        // It fails when the peer was first.
        (void)::shutdown(fd_.get(), SHUT_RDWR);
    }

  private:
    os::UniqueFd fd_;
};

}  // namespace client
