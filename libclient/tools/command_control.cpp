// haloctl reload, shutdown, node kill, node addresses: cluster control, by libcfg.
#include <arpa/inet.h>
#include <corosync/cfg.h>
#include <stdlib.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "common/config/load.hpp"
#include "common/ipc/status_client.hpp"
#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"

namespace haloctl {
namespace {

int exit_code_of(cs_error_t error) {
    switch (error) {
        case CS_OK:
            return kOk;
        case CS_ERR_LIBRARY:
            return kNotRunning;
        case CS_ERR_ACCESS:
            return kNoPermission;
        case CS_ERR_TRY_AGAIN:
        case CS_ERR_TIMEOUT:
            return kNoAnswer;
        case CS_ERR_INVALID_PARAM:
            return kConfiguration;
        default:
            return kFailed;
    }
}

const char* text_of(cs_error_t error) {
    switch (error) {
        case CS_ERR_LIBRARY:
            return "cmapd does not run on this node";
        case CS_ERR_ACCESS:
            return "this user may not";
        case CS_ERR_TRY_AGAIN:
            return "cmapd has not found its cluster, or is busy; try again";
        case CS_ERR_TIMEOUT:
            return "not all nodes answered in time";
        case CS_ERR_BUSY:
            return "vetoed by a program that must not lose the cluster now; --force overrides it";
        case CS_ERR_EXIST:
            return "another one is being decided";
        case CS_ERR_NOT_EXIST:
            return "no such node is configured";
        case CS_ERR_INVALID_PARAM:
            return "refused";
        default:
            return "failed";
    }
}

// A session with cmapd for one command.
class Session {
  public:
    explicit Session(const std::string& run_folder) {
        // The library looks where the daemons of this node are by its environment.
        (void)::setenv("HALO_RUN_DIR", run_folder.c_str(), 1);
        // One command waits for no daemon to come back.
        (void)::setenv("HALO_CFG_RESUME_MS", "0", 0);
        opened_ = corosync_cfg_initialize(&handle_, nullptr);
    }
    ~Session() {
        if (opened_ == CS_OK) (void)corosync_cfg_finalize(handle_);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    [[nodiscard]] cs_error_t opened() const { return opened_; }
    [[nodiscard]] corosync_cfg_handle_t handle() const { return handle_; }

  private:
    corosync_cfg_handle_t handle_ = 0;
    cs_error_t opened_ = CS_ERR_LIBRARY;
};

int tell(const char* command, cs_error_t error) {
    if (error != CS_OK)
        std::fprintf(stderr, "haloctl %s: %s (error %d)\n", command, text_of(error),
                     static_cast<int>(error));
    return exit_code_of(error);
}

// Which node said no, and why, is what cmapd remembers of the reload.
std::string reason_of_reload(const std::string& run_folder) {
    const auto value = ipc::ask_status(run_folder + "/cmapd.status", {{"get", "reload"}});
    if (!value || !value->is_object()) return {};
    return value->value("text", std::string());
}

int reload(const std::string& run_folder) {
    const Session session(run_folder);
    cs_error_t error = session.opened();
    if (error == CS_OK) error = corosync_cfg_reload_config(session.handle());
    const std::string text =
        session.opened() == CS_OK ? reason_of_reload(run_folder) : std::string();
    if (!text.empty()) std::fprintf(stderr, "%s\n", text.c_str());
    if (error != CS_OK) {
        std::fprintf(stderr,
                     "haloctl reload: %s; the configuration before stays in force on all "
                     "nodes\n",
                     text_of(error));
        return exit_code_of(error);
    }
    std::puts("reloaded on all nodes");
    return kOk;
}

struct ShutdownOptions {
    bool is_forced = false;
    bool is_immediate = false;
};

int shut_down(const ShutdownOptions& options, const std::string& run_folder) {
    const Session session(run_folder);
    if (session.opened() != CS_OK) return tell("shutdown", session.opened());
    const auto flags = options.is_immediate ? COROSYNC_CFG_SHUTDOWN_FLAG_IMMEDIATE
                       : options.is_forced  ? COROSYNC_CFG_SHUTDOWN_FLAG_REGARDLESS
                                            : COROSYNC_CFG_SHUTDOWN_FLAG_REQUEST;
    return tell("shutdown", corosync_cfg_try_shutdown(session.handle(), flags));
}

struct KillOptions {
    std::uint32_t node = 0;
    std::string reason = "haloctl node kill";
};

int kill_node(const KillOptions& options, const std::string& run_folder) {
    const Session session(run_folder);
    if (session.opened() != CS_OK) return tell("node kill", session.opened());
    return tell("node kill",
                corosync_cfg_kill_node(session.handle(), options.node, options.reason.c_str()));
}

std::string address_text(const corosync_cfg_node_address_t& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    sockaddr_in6 v6{};
    std::memcpy(&v6, address.address, sizeof(v6));
    if (v6.sin6_family == AF_INET6) {
        (void)::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    } else {
        sockaddr_in v4{};
        std::memcpy(&v4, address.address, sizeof(v4));
        (void)::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    }
    return text.data();
}

struct AddressOptions {
    std::uint32_t node = 0;
    bool is_json = false;
};

int show_addresses(const AddressOptions& options, const std::string& run_folder) {
    const Session session(run_folder);
    if (session.opened() != CS_OK) return tell("node addresses", session.opened());
    std::array<corosync_cfg_node_address_t, CFG_MAX_LINKS> addresses{};
    int count = 0;
    const cs_error_t error = corosync_cfg_get_node_addrs(
        session.handle(), options.node, addresses.size(), &count, addresses.data());
    if (error != CS_OK) return tell("node addresses", error);
    nlohmann::json list = nlohmann::json::array();
    for (int i = 0; i < count; ++i) {
        list.push_back(address_text(addresses.at(static_cast<std::size_t>(i))));
        if (!options.is_json) std::puts(list.back().get_ref<const std::string&>().c_str());
    }
    if (options.is_json) std::puts(list.dump().c_str());
    return kOk;
}

}  // namespace

void add_reload(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand(
        "reload", "all nodes change to the configuration in their files, or none does");
    add_run_option(*command, context);
    command->callback([&context] { context.exit_code = reload(context.run_folder); });
}

void add_shutdown(CLI::App& app, Context& context) {
    const auto options = std::make_shared<ShutdownOptions>();
    CLI::App* command = app.add_subcommand(
        "shutdown", "stop this node, unless a program that needs the cluster vetoes");
    add_run_option(*command, context);
    command->add_flag("--force", options->is_forced, "tell those programs, and don't ask them");
    command->add_flag("--immediate", options->is_immediate, "don't even tell them");
    command->callback(
        [options, &context] { context.exit_code = shut_down(*options, context.run_folder); });
}

void add_node_control(CLI::App& node, Context& context) {
    const auto kill = std::make_shared<KillOptions>();
    CLI::App* killer = node.add_subcommand("kill", "the daemons of a node end at once");
    add_run_option(*killer, context);
    killer->add_option("NODEID", kill->node, "which node")->required();
    killer->add_option("--reason", kill->reason, "what that node's log says")
        ->capture_default_str();
    killer->callback(
        [kill, &context] { context.exit_code = kill_node(*kill, context.run_folder); });

    const auto wanted = std::make_shared<AddressOptions>();
    CLI::App* addresses = node.add_subcommand("addresses", "the addresses of a node, one a link");
    add_run_option(*addresses, context);
    addresses->add_option("NODEID", wanted->node, "which node; without it this one");
    addresses->add_flag("--json", wanted->is_json, "for programs");
    addresses->callback(
        [wanted, &context] { context.exit_code = show_addresses(*wanted, context.run_folder); });
}

}  // namespace haloctl
