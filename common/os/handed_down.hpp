// Descriptors that whoever started us opened for us (sd_listen_fds(3)): listening sockets made by
// root, and what an earlier life of ours left in the descriptor store.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/os/unique_fd.hpp"

namespace os {

class HandedDown {
  public:
    // Takes all of them, close-on-exec, and clears the variables that told of them, so that our
    // children don't take them for theirs. Call it once, early in main.
    static HandedDown take_all();

    // The descriptor of that name (LISTEN_FDNAMES), or nothing. Of several of one name, the first.
    [[nodiscard]] std::optional<UniqueFd> take(const std::string& name);

    // How many nobody has taken; they are closed with this object.
    [[nodiscard]] std::size_t count() const { return descriptors_.size(); }

  private:
    std::multimap<std::string, UniqueFd> descriptors_;
};

}  // namespace os
