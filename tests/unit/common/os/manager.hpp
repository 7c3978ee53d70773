// The service manager's end of NOTIFY_SOCKET, for as long as it lives.
#pragma once

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>

#include "common/base/invariant.hpp"
#include "common/os/unique_fd.hpp"

class Manager {
  public:
    Manager() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        // Abstract: leaves no file behind. The kernel chooses the name.
        fd_ = os::UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        socklen_t length = sizeof(sa_family_t);
        INVARIANT(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
        length = sizeof(address);
        INVARIANT(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
        const std::string name(&address.sun_path[1], length - sizeof(sa_family_t) - 1);
        INVARIANT(::setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1) == 0);
    }
    ~Manager() { (void)::unsetenv("NOTIFY_SOCKET"); }
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    // The next datagram that came; empty when there is none.
    std::string next() {
        std::array<char, 4096> text{};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(kDescriptorsMax * sizeof(int))> control{};
        iovec part{.iov_base = text.data(), .iov_len = text.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t length = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (length < 0) return {};
        const cmsghdr* const head = CMSG_FIRSTHDR(&message);
        descriptors_ = head == nullptr ? 0 : (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < descriptors_; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
            os::UniqueFd(fd).reset();
        }
        return {text.data(), static_cast<std::size_t>(length)};
    }
    // How many came with it; they are closed.
    [[nodiscard]] std::size_t descriptors() const { return descriptors_; }

  private:
    static constexpr std::size_t kDescriptorsMax = 64;

    os::UniqueFd fd_;
    std::size_t descriptors_ = 0;
};
