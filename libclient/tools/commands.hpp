// The commands of haloctl: each adds itself to the command line, and sets what the program ends
// with.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace haloctl {

// What all commands share.
struct Context {
    std::string run_folder = "/run/halo";
    int exit_code = 0;
};

void add_status(CLI::App& app, Context& context);
void add_keygen(CLI::App& app, Context& context);
void add_config(CLI::App& app, Context& context);
void add_cpg(CLI::App& app, Context& context);
void add_quorum(CLI::App& app, Context& context);
void add_cmap(CLI::App& app, Context& context);
void add_watch(CLI::App& app, Context& context);
void add_node(CLI::App& app, Context& context);
void add_init(CLI::App& app, Context& context);
void add_join(CLI::App& app, Context& context);
void add_run(CLI::App& app, Context& context);
void add_reload(CLI::App& app, Context& context);
void add_shutdown(CLI::App& app, Context& context);
// kill and addresses, below node.
void add_node_control(CLI::App& node, Context& context);

// Adds --run, which every command takes that talks to daemons.
void add_run_option(CLI::App& command, Context& context);

}  // namespace haloctl
