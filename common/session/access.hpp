// Who may be a client: the rules of uidgid {}, and who somebody says to be.
#pragma once

#include <cstdint>
#include <set>

#include "common/zmtp/connection.hpp"

namespace session {

// uid 0, gid 0 and the daemon's own uid always; else who is listed. An allowed client may do
// everything, as in Corosync.
struct Access {
    std::uint32_t own_uid = 0;
    std::set<std::uint32_t> uids;
    std::set<std::uint32_t> gids;

    [[nodiscard]] bool allows(const zmtp::PeerCredentials& peer) const;
};

// The pid under which a client is a member of groups: the one in its own pid namespace, as it says,
// if the kernel knows the process by that number too; else the kernel's. A process that we can't
// look at (of a namespace or a /proc that we don't see) is believed.
[[nodiscard]] std::uint32_t member_pid(std::uint32_t kernel_pid, std::uint32_t claimed);

}  // namespace session
