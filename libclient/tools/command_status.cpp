#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>

#include "common/ipc/status_client.hpp"
#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"
#include "libclient/tools/status_text.hpp"

namespace haloctl {
namespace {

using nlohmann::json;

constexpr std::array kDaemons{"ringd", "cpgd", "quorumd", "cmapd"};

struct Options {
    bool is_json = false;
    std::string daemon;    // Empty: all that run.
    std::string question;  // What is asked: "status" unless told otherwise.
    double timeout_s = 5;
};

int exit_code_of(ipc::StatusError::Cause cause) {
    switch (cause) {
        case ipc::StatusError::Cause::NotRunning:
            return kNotRunning;
        case ipc::StatusError::Cause::NoPermission:
            return kNoPermission;
        case ipc::StatusError::Cause::NoAnswer:
            return kNoAnswer;
        case ipc::StatusError::Cause::Refused:
        case ipc::StatusError::Cause::Failed:
            return kFailed;
    }
    return kFailed;
}

// Asks each daemon; those that do not exist on this node are passed over, but ringd must be there.
int show(const Options& options, const std::string& run_folder) {
    json all = json::object();
    json errors = json::object();
    int exit_code = kOk;
    const base::Duration timeout =
        std::chrono::milliseconds(static_cast<long>(options.timeout_s * 1000));
    for (const std::string daemon : kDaemons) {
        if (!options.daemon.empty() && options.daemon != daemon) continue;
        const std::string path = run_folder + "/" + daemon + ".status";
        const bool is_needed = daemon == "ringd" || options.daemon == daemon;
        if (!is_needed && ::access(path.c_str(), F_OK) != 0) continue;
        auto value = ipc::ask_status(path, {{"get", options.question}}, timeout);
        if (value) {
            all[daemon] = std::move(*value);
            continue;
        }
        errors[daemon] = value.error().text;
        if (exit_code == kOk) exit_code = exit_code_of(value.error().cause);
        std::fprintf(stderr, "haloctl status: %s: %s\n", daemon.c_str(),
                     value.error().text.c_str());
    }
    if (options.is_json) {
        if (!errors.empty()) all["errors"] = errors;
        std::printf("%s\n", all.dump(2, ' ', false, json::error_handler_t::replace).c_str());
        return exit_code;
    }
    for (const std::string daemon : kDaemons) {
        const auto value = all.find(daemon);
        if (value == all.end()) continue;
        std::printf("%s\n%s\n", daemon.c_str(), status_text(*value, 2).c_str());
    }
    return exit_code;
}

}  // namespace

void add_status(CLI::App& app, Context& context) {
    const auto options = std::make_shared<Options>();
    options->question = "status";
    CLI::App* command = app.add_subcommand("status", "what the daemons of this node say");
    add_run_option(*command, context);
    command->add_flag("--json", options->is_json, "for programs");
    command->add_option("--daemon", options->daemon, "only this one")
        ->check(CLI::IsMember(std::vector<std::string>(kDaemons.begin(), kDaemons.end())));
    command->add_option("--get", options->question, "another question; 'help' lists them")
        ->capture_default_str();
    command->add_option("--timeout", options->timeout_s, "seconds to wait for each daemon")
        ->check(CLI::Range(0.01, 600.0))
        ->capture_default_str();
    command->callback(
        [options, &context] { context.exit_code = show(*options, context.run_folder); });
}

}  // namespace haloctl
