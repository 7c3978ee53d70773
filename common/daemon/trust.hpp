// Whom a daemon takes questions and orders from on its status socket.
#pragma once

#include "common/daemon/start.hpp"
#include "common/ipc/status_server.hpp"

namespace daemon_start {

// Root, the daemon's own user, and the daemons' group (halo.group): cmapd asks the others for their
// numbers and has them reload. Asks the user database: call it at the start.
[[nodiscard]] ipc::StatusServer::Rule daemons_of_this_node(const Started& started);

}  // namespace daemon_start
