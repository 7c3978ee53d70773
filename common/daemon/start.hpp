// The first lines of every daemon's main: command line, configuration file, log. A daemon that
// can't use its configuration says which file and line, and ends with a status that is not
// restarted.
#pragma once

#include <string>
#include <variant>

#include "common/config/daemon_options.hpp"
#include "common/config/load.hpp"
#include "common/log/log.hpp"

namespace daemon_start {

struct Started {
    std::string daemon;
    config::DaemonOptions options;
    config::Loaded loaded;
    logging::Log log;

    // <run folder>/<name>
    [[nodiscard]] std::string in_run(const std::string& name) const {
        return options.run_folder + "/" + name;
    }
    // <run folder>/<daemon>/<name>: files that are this daemon's alone. Sockets stand one level
    // higher, where only root can put something in their place.
    [[nodiscard]] std::string in_private(const std::string& name) const {
        return in_run(daemon) + "/" + name;
    }
};

// Level and destinations as the configuration wants them; opens the log file. A file that can't be
// opened is told in the log, which goes on without it.
void apply_logging(logging::Log& log, const config::Logging& logging);

// The exit status: 0 (help, version, a good file with -t), 64 (command line), 71 (the host's name
// or addresses can't be read), 78 (configuration). What was to be said has been said.
using Ended = int;

[[nodiscard]] std::variant<Started, Ended> start(const std::string& name, int argc,
                                                 const char* const* argv);

}  // namespace daemon_start
