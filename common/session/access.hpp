// Who may be a client: the rules of uidgid {}, and who somebody says to be.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "common/os/error.hpp"
#include "common/zmtp/connection.hpp"

namespace session {

// uid 0, gid 0 and the daemon's own uid always; else who is listed. An allowed client may do
// everything, as in Corosync.
struct Access {
    std::uint32_t own_uid = 0;
    std::optional<std::uint32_t> daemons_gid{};  // The node's other daemons are clients too.
    std::set<std::uint32_t> uids;
    std::set<std::uint32_t> gids;

    [[nodiscard]] bool allows(const zmtp::PeerCredentials& peer) const;
};

// The rules of a node, which cmapd knows (keys uidgid.*) and writes to a file in the run folder for
// the other daemons. They count from the moment in which the key's change is answered: so a daemon
// looks at the file whenever somebody connects, which costs a stat(2).
class RulesFile {
  public:
    RulesFile() = default;
    explicit RulesFile(std::string path) : path_(std::move(path)) {}

    // Whether the rules of the file allow it. A file that is not there, or is none, allows nobody.
    [[nodiscard]] bool allows(const zmtp::PeerCredentials& peer);

  private:
    void read();

    std::string path_;
    Access rules_;
    struct ::stat last_ {};
};

// Replaces the file in one step.
[[nodiscard]] os::Result<void> write_rules(const std::string& path, const Access& access);

// The pid under which a client is a member of groups: the one in its own pid namespace, as it says,
// if the kernel knows the process by that number too; else the kernel's. A process that we can't
// look at (of a namespace or a /proc that we don't see) is believed.
[[nodiscard]] std::uint32_t member_pid(std::uint32_t kernel_pid, std::uint32_t claimed);

}  // namespace session
