// The sockets of a node that the supervisor opens as root and hands down.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"

namespace node {

// Who can connect: all, and whoever serves it looks at credentials; or root, this user and, where
// it is given, a group.
struct Connectable {
    bool by_all = true;
    std::optional<gid_t> group = std::nullopt;
};

// A close-on-exec UNIX socket of `type` bound to `path`. The file of a dead one is replaced.
os::Result<os::UniqueFd> bind_unix(const std::string& path, int type,
                                   const Connectable& connectable);

// The same as a listening stream socket. Clients see the credentials of this process as its owner.
os::Result<os::UniqueFd> listen_unix(const std::string& path, const Connectable& connectable);

}  // namespace node
