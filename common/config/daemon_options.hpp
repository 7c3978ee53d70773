// The command line that all daemons share.
#pragma once

#include <optional>
#include <string>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"

namespace config {

inline constexpr const char* kDefaultRunFolder = "/run/halo";
inline constexpr const char* kDefaultStateFolder = "/var/lib/halo";

struct DaemonOptions {
    std::string config_file;                     // -c; empty: find_file() knows.
    std::string run_folder = kDefaultRunFolder;  // --run: sockets.
    std::string state_folder;                    // --state; empty: state_folder_of() knows.
    std::optional<base::NodeId> node_id;         // --node-id, or HALO_NODE_ID.
    bool is_test = false;                        // -t: check the configuration and end.
    bool wants_help = false;
    bool wants_version = false;
};

// Reads `-c FILE`, `--run DIR`, `--state DIR`, `--node-id N`, `-t`, `-h`, `-v` and their long forms
// (--config, --test, --help, --version), each value also as --name=value. `-f` (foreground) is
// taken and means nothing: a daemon always stays there. The error is one line for people; end
// with 64.
[[nodiscard]] base::Expected<DaemonOptions, std::string> parse_daemon_options(
    int argc, const char* const* argv);

// Usage text of the daemon of that name.
[[nodiscard]] std::string daemon_usage(const std::string& daemon);

// `options` first, then system.state_dir (`configured`, may be empty), then the service manager's
// $STATE_DIRECTORY, then kDefaultStateFolder.
[[nodiscard]] std::string state_folder_of(const DaemonOptions& options,
                                          const std::string& configured);

}  // namespace config
