// The sockets of a node that the supervisor opens as root and hands down.
#pragma once

#include <string>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"

namespace node {

// A close-on-exec UNIX socket of `type` bound to `path`, connectable by all: whoever serves it
// looks at credentials. The file of a dead one is replaced.
os::Result<os::UniqueFd> bind_unix(const std::string& path, int type);

// The same as a listening stream socket. Clients see the credentials of this process as its owner.
os::Result<os::UniqueFd> listen_unix(const std::string& path);

}  // namespace node
