#include "libclient/tools/node/sockets.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace node {

os::Result<os::UniqueFd> bind_unix(const std::string& path, int type,
                                   const Connectable& connectable) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path))
        return base::fail(os::Error{.what = "path of socket " + path, .code = ENAMETOOLONG});
    std::memcpy(static_cast<void*>(address.sun_path), path.data(), path.size());
    os::UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.is_open()) return os::last_error("socket");
    // The lock of the run folder says that no other supervisor uses it: what is there is a
    // leftover.
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return os::last_error("unlink " + path);
    // The file is made with this mode, so that there is no moment when others can connect. The
    // socket API takes every address type as sockaddr.
    const mode_t mask = ::umask(0177);
    const int bound =
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    const int reason = errno;
    (void)::umask(mask);
    if (bound != 0) return base::fail(os::Error{.what = "bind " + path, .code = reason});
    if (connectable.group && ::chown(path.c_str(), ::geteuid(), *connectable.group) != 0)
        return os::last_error("chown " + path);
    const mode_t mode = connectable.by_all ? 0666 : connectable.group ? 0660 : 0600;
    if (::chmod(path.c_str(), mode) != 0) return os::last_error("chmod " + path);
    return fd;
}

os::Result<os::UniqueFd> listen_unix(const std::string& path, const Connectable& connectable) {
    auto fd = bind_unix(path, SOCK_STREAM, connectable);
    if (!fd) return fd;
    // As many as the kernel allows: a restarted daemon finds all that waited for it.
    if (::listen(fd->get(), SOMAXCONN) != 0) return os::last_error("listen " + path);
    return fd;
}

}  // namespace node
