#include "common/daemon/trust.hpp"

#include <unistd.h>

#include "common/os/identity.hpp"

namespace daemon_start {

ipc::StatusServer::Rule daemons_of_this_node(const Started& started) {
    const auto group = os::group_id(started.loaded.cluster.system.group);
    return [group, own = ::geteuid()](const ipc::Peer& peer) {
        return peer.uid == 0 || peer.uid == own || (group && peer.gid == *group);
    };
}

}  // namespace daemon_start
