#include "common/session/access.hpp"

#include <fstream>
#include <sstream>
#include <string>

namespace session {

bool Access::allows(const zmtp::PeerCredentials& peer) const {
    return peer.uid == 0 || peer.gid == 0 || peer.uid == own_uid || uids.contains(peer.uid) ||
           gids.contains(peer.gid);
}

// NSpid of /proc/<pid>/status lists the numbers of a process, from our namespace to its own.
std::uint32_t member_pid(std::uint32_t kernel_pid, std::uint32_t claimed) {
    if (kernel_pid == 0 || claimed == kernel_pid) return claimed;
    std::ifstream status("/proc/" + std::to_string(kernel_pid) + "/status");
    if (!status) return claimed;
    for (std::string line; std::getline(status, line);) {
        if (!line.starts_with("NSpid:")) continue;
        std::istringstream numbers(line.substr(6));
        for (std::uint32_t number = 0; numbers >> number;) {
            if (number == claimed) return claimed;
        }
    }
    return kernel_pid;
}

}  // namespace session
