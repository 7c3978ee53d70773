#include "libclient/tools/node/notify_socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>

#include "common/os/notify.hpp"
#include "libclient/tools/node/sockets.hpp"

namespace node {
namespace {

constexpr std::size_t kDatagramBytesMax = 4096;

void take_control(msghdr& header, Notification& notification) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET) continue;
        if (part->cmsg_type == SCM_CREDENTIALS) {
            ucred credentials{};
            std::memcpy(&credentials, CMSG_DATA(part), sizeof(credentials));
            notification.from = credentials.pid;
        } else if (part->cmsg_type == SCM_RIGHTS) {
            const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; ++i) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
                notification.descriptors.emplace_back(fd);
            }
        }
    }
}

}  // namespace

os::Result<NotifySocket> NotifySocket::create(const std::string& path, std::optional<gid_t> group) {
    // Not by all: who fills its queue keeps the daemons from telling that they live.
    auto fd = bind_unix(path, SOCK_DGRAM, {.by_all = false, .group = group});
    if (!fd) return base::fail(fd.error());
    const int on = 1;
    if (::setsockopt(fd->get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0)
        return os::last_error("SO_PASSCRED on " + path);
    return NotifySocket(std::move(*fd), path);
}

std::optional<Notification> NotifySocket::receive() {
    for (;;) {
        std::array<char, kDatagramBytesMax> text{};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred)) +
                                              CMSG_SPACE(os::kDescriptorsAMessageMax * sizeof(int))>
            control{};
        iovec part{.iov_base = text.data(), .iov_len = text.size()};
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        const ssize_t length = ::recvmsg(fd_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) return std::nullopt;
        Notification notification;
        take_control(header, notification);
        if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) continue;
        notification.message =
            parse_notify(std::string_view(text.data(), static_cast<std::size_t>(length)));
        return notification;
    }
}

}  // namespace node
