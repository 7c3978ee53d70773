#include "common/os/handed_down.hpp"

#include <fcntl.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>

namespace os {

HandedDown HandedDown::take_all() {
    HandedDown handed_down;
    char** names = nullptr;
    const int count = ::sd_listen_fds_with_names(/*unset_environment=*/1, &names);
    for (int i = 0; i < count; ++i) {
        handed_down.descriptors_.emplace(names[i], UniqueFd(SD_LISTEN_FDS_START + i));
        std::free(names[i]);  // The list is malloc'ed (sd_listen_fds_with_names(3)).
    }
    std::free(static_cast<void*>(names));
    return handed_down;
}

std::optional<UniqueFd> HandedDown::take(const std::string& name) {
    const auto found = descriptors_.find(name);
    if (found == descriptors_.end()) return std::nullopt;
    std::optional<UniqueFd> fd(std::move(found->second));
    descriptors_.erase(found);
    return fd;
}

}  // namespace os
