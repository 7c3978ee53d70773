// The user and group that a process runs as.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/os/error.hpp"

namespace os {

struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
};

// The ids of a user and of a group by name; nothing where there is none of that name. (The user
// database may be asked over the network: call them at the start, not on a message path.)
[[nodiscard]] std::optional<uid_t> user_id(const std::string& name);
[[nodiscard]] std::optional<gid_t> group_id(const std::string& name);

// Becomes `identity` for good, without supplementary groups, as root. The signal at the parent's
// death stays set. An error means half a change, which is worse than none: end the process.
Result<void> become(const Identity& identity);

}  // namespace os
