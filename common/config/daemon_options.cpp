#include "common/config/daemon_options.hpp"

#include <cstdlib>
#include <limits>
#include <string_view>
#include <utility>

#include "common/config/schema.hpp"

namespace config {
namespace {

struct Argument {
    std::string_view name;
    std::optional<std::string> value;  // Of --name=value.
};

Argument split(std::string_view text) {
    const std::size_t equals = text.find('=');
    if (!text.starts_with("--") || equals == std::string_view::npos)
        return {.name = text, .value = std::nullopt};
    return {.name = text.substr(0, equals), .value = std::string(text.substr(equals + 1))};
}

base::Expected<base::NodeId, std::string> node_id_of(const std::string& text) {
    const auto number = parse_number(text);
    if (!number || *number == 0 || *number > std::numeric_limits<std::uint32_t>::max())
        return base::fail("node id '" + text + "': a number from 1 to 4294967295 is needed");
    return base::NodeId{static_cast<std::uint32_t>(*number)};
}

}  // namespace

base::Expected<DaemonOptions, std::string> parse_daemon_options(int argc, const char* const* argv) {
    DaemonOptions options;
    if (const char* id = std::getenv("HALO_NODE_ID"); id != nullptr && *id != '\0') {
        const auto parsed = node_id_of(id);
        if (!parsed) return base::fail("HALO_NODE_ID: " + parsed.error());
        options.node_id = *parsed;
    }
    for (int i = 1; i < argc; ++i) {
        Argument argument = split(argv[i]);
        const std::string_view name = argument.name;
        if (name == "-f" || name == "--foreground") continue;
        if (name == "-t" || name == "--test") {
            options.is_test = true;
        } else if (name == "-h" || name == "--help") {
            options.wants_help = true;
        } else if (name == "-v" || name == "--version") {
            options.wants_version = true;
        } else if (name == "-c" || name == "--config" || name == "--run" || name == "--state" ||
                   name == "--node-id") {
            if (!argument.value && ++i == argc)
                return base::fail("option " + std::string(name) + " needs a value");
            std::string value = argument.value ? std::move(*argument.value) : argv[i];
            if (name == "--run") {
                options.run_folder = std::move(value);
            } else if (name == "--state") {
                options.state_folder = std::move(value);
            } else if (name == "--node-id") {
                const auto parsed = node_id_of(value);
                if (!parsed) return base::fail(parsed.error());
                options.node_id = *parsed;
            } else {
                options.config_file = std::move(value);
            }
        } else {
            return base::fail("unknown option '" + std::string(argv[i]) + "'; try --help");
        }
    }
    return options;
}

std::string daemon_usage(const std::string& daemon) {
    return "usage: " + daemon +
           " [-c FILE] [--run DIR] [--state DIR] [--node-id N] [-t]\n"
           "  -c, --config FILE  configuration (default /etc/halo/halo.conf, then\n"
           "                     /etc/corosync/corosync.conf)\n"
           "  --run DIR          folder of the local sockets (default /run/halo)\n"
           "  --state DIR        folder of what outlives a restart (default /var/lib/halo)\n"
           "  --node-id N        which node of the nodelist this host is\n"
           "  -t, --test         check the configuration and end\n"
           "  -v, --version      print the version and end\n";
}

std::string state_folder_of(const DaemonOptions& options, const std::string& configured) {
    if (!options.state_folder.empty()) return options.state_folder;
    if (!configured.empty()) return configured;
    const char* managed = std::getenv("STATE_DIRECTORY");
    if (managed == nullptr || *managed != '/') return kDefaultStateFolder;
    const std::string_view list(managed);
    return std::string(list.substr(0, list.find(':')));
}

}  // namespace config
