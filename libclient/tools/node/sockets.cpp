#include "libclient/tools/node/sockets.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace node {

os::Result<os::UniqueFd> bind_unix(const std::string& path, int type) {
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
    // The socket API takes every address type as sockaddr.
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        return os::last_error("bind " + path);
    if (::chmod(path.c_str(), 0666) != 0) return os::last_error("chmod " + path);
    return fd;
}

os::Result<os::UniqueFd> listen_unix(const std::string& path) {
    auto fd = bind_unix(path, SOCK_STREAM);
    if (!fd) return fd;
    // As many as the kernel allows: a restarted daemon finds all that waited for it.
    if (::listen(fd->get(), SOMAXCONN) != 0) return os::last_error("listen " + path);
    return fd;
}

}  // namespace node
