// The two files that all nodes of a cluster have in common: configuration and key.
#pragma once

#include <string>

#include "common/config/load.hpp"
#include "libclient/tools/exit_codes.hpp"

namespace haloctl {

struct ClusterFiles {
    std::string folder = "/etc/halo";
    [[nodiscard]] std::string configuration() const { return folder + "/halo.conf"; }
    [[nodiscard]] std::string key() const { return folder + "/authkey"; }
    [[nodiscard]] bool is_where_units_look() const;
};

// Complains and gives an exit code unless neither file is there, or both may be replaced.
[[nodiscard]] int check_absent(const char* command, const ClusterFiles& files, bool may_replace);

// Makes the folder, readable by all (the key has its own mode). Complains and gives an exit code.
[[nodiscard]] int make_folder(const char* command, const std::string& folder);

// Loads `text` as the configuration in `files` for this host. With `needs_self` a host that is none
// of the nodes is an error. What is wrong is said; nothing: it can't be used.
[[nodiscard]] std::optional<config::Loaded> check_configuration(const char* command,
                                                                const std::string& text,
                                                                const ClusterFiles& files,
                                                                bool needs_self);

// What comes next on this host, once it has both files.
[[nodiscard]] std::string start_text(const ClusterFiles& files);

}  // namespace haloctl
