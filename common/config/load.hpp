// The way from a configuration file to values, or to the list of all that is wrong with it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/config/cluster_config.hpp"
#include "common/config/document.hpp"

namespace config {

// What a daemon ends with when its configuration cannot be used; systemd does not restart it
// (EX_CONFIG of sysexits.h).
inline constexpr int kExitConfiguration = 78;

inline constexpr std::string_view kHaloFile = "/etc/halo/halo.conf";
inline constexpr std::string_view kCorosyncFile = "/etc/corosync/corosync.conf";

// `chosen` (option -c) if it is not empty; else /etc/halo/halo.conf where that exists; else
// /etc/corosync/corosync.conf.
[[nodiscard]] std::string find_file(const std::string& chosen);

struct LoadOptions {
    // Which node this host is, if the caller knows better than the file (option, HALO_NODE_ID).
    std::optional<base::NodeId> node_id;
    // Nothing: check the file as such, on whatever host; ClusterConfig::self stays empty.
    std::optional<Host> host;
    // Both may ask other machines and block. A daemon that runs is given what somebody else found.
    Resolver resolver = resolve;
    std::optional<UidGid> clients{};  // Nothing: the users and groups of uidgid {} are looked up.
};

struct Loaded {
    ClusterConfig cluster;
    Section document;  // As written, with lines: for cmap, reload and explain.
    std::string text;  // Of the file itself, without uidgid.d. May hold a secret (totem.key).
    std::vector<Problem> warnings;
};

// Reads the file and those of uidgid.d beside it, checks everything, and resolves names (which may
// block for seconds: load before the loop runs). The error has all problems, warnings too, in the
// order of the file; at least one is an error.
[[nodiscard]] base::Expected<Loaded, std::vector<Problem>> load(const std::string& path,
                                                                const LoadOptions& options);

// The same for text in memory.
[[nodiscard]] base::Expected<Loaded, std::vector<Problem>> load_text(std::string_view text,
                                                                     const std::string& file,
                                                                     const LoadOptions& options);

// One line a problem, for standard error.
[[nodiscard]] std::string problems_text(const std::vector<Problem>& problems);

}  // namespace config
