#include <cstdio>
#include <filesystem>
#include <memory>

#include "common/config/daemon_options.hpp"
#include "common/config/load.hpp"
#include "common/os/descriptor_limit.hpp"
#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"
#include "libclient/tools/node/supervisor.hpp"

namespace haloctl {
namespace {

struct Options {
    std::string config_file;
    std::string state_folder;
    std::string program_folder;
    std::uint32_t node_id = 0;
    double watchdog_s = 0;
};

std::string absolute(const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal().string();
}

std::string own_folder() {
    std::error_code failure;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", failure);
    return failure ? std::string("/usr/sbin") : self.parent_path().string();
}

// The file that ringd's user may not read itself.
std::string key_file_of(const config::Crypto& crypto) {
    const bool has_file = crypto.cipher != config::Cipher::None && !crypto.inline_key;
    return has_file ? crypto.key_file : std::string();
}

int supervise(node::Settings settings) {
    logging::Log log("node");
    if (const auto raised = os::raise_descriptor_limit(); !raised)
        log.warning("fewer descriptors can be kept for daemons",
                    {{"ERROR", raised.error().text()}});
    auto loop = os::EventLoop::create();
    if (!loop) {
        log.error("cannot run", {{"ERROR", loop.error().text()}});
        return kFailed;
    }
    auto supervisor = node::Supervisor::create(std::move(settings), *loop, log);
    if (!supervisor) {
        log.error("cannot run the node", {{"ERROR", supervisor.error().text()}});
        return supervisor.error().code == EACCES ? kNoPermission : kFailed;
    }
    if (const auto ran = loop->run(); !ran) {
        log.error("cannot run", {{"ERROR", ran.error().text()}});
        return kFailed;
    }
    return (*supervisor)->exit_code();
}

int run_node(const Options& options, const std::string& run_folder) {
    const std::string file = absolute(config::find_file(options.config_file));
    auto host = config::this_host();
    if (!host) {
        std::fprintf(stderr, "haloctl node: %s\n", host.error().text().c_str());
        return kFailed;
    }
    config::LoadOptions load{.node_id = {}, .host = std::move(*host)};
    if (options.node_id != 0) load.node_id = base::NodeId{options.node_id};
    const auto loaded = config::load(file, load);
    // Errors are said once, before anything is started; warnings are said by the daemons.
    if (!loaded) {
        std::fputs(config::problems_text(loaded.error()).c_str(), stderr);
        return kConfiguration;
    }

    config::DaemonOptions daemon;
    daemon.state_folder = options.state_folder;
    const auto& system = loaded->cluster.system;
    const std::string programs =
        options.program_folder.empty() ? own_folder() : options.program_folder;
    return supervise(
        {.config_file = file,
         .run_folder = absolute(run_folder),
         .state_folder = absolute(config::state_folder_of(daemon, system.state_dir)),
         .program_folder = absolute(programs),
         .node_id = load.node_id,
         .user_prefix = system.user,
         .group = system.group,
         .real_time = system.real_time != config::RealTime::Never,
         .key_file = key_file_of(loaded->cluster.crypto),
         .watchdog = std::chrono::milliseconds(static_cast<long>(options.watchdog_s * 1000))});
}

}  // namespace

void add_node(CLI::App& app, Context& context) {
    const auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand(
        "node",
        "run this node's daemons in the foreground, without a service manager; or, with a "
        "sub-command, ask about a node or kill it");
    add_run_option(*command, context);
    command->add_option("-c,--config", options->config_file,
                        "default: /etc/halo/halo.conf, then /etc/corosync/corosync.conf");
    command->add_option("--state", options->state_folder,
                        "folder of what outlives a restart (default /var/lib/halo)");
    command
        ->add_option("--node-id", options->node_id,
                     "which node of the nodelist this host is (default: by name and address)")
        ->check(CLI::PositiveNumber)
        ->envname("HALO_NODE_ID");
    command->add_option("--bin", options->program_folder,
                        "folder of the daemons' programs (default: where haloctl is)");
    command
        ->add_option(
            "--watchdog", options->watchdog_s,
            "kill and restart a daemon that is silent for so many seconds (default: never)")
        ->check(CLI::Range(0.0, 3600.0));
    command->require_subcommand(0, 1);
    add_node_control(*command, context);
    command->callback([options, command, &context] {
        if (command->get_subcommands().empty())
            context.exit_code = run_node(*options, context.run_folder);
    });
}

}  // namespace haloctl
