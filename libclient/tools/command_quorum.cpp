#include <corosync/quorum.h>
#include <corosync/votequorum.h>
#include <fmt/format.h>
#include <poll.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "common/config/load.hpp"
#include "common/ipc/status_client.hpp"
#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"
#include "libclient/tools/quorum_simulation.hpp"

namespace haloctl {
namespace {

using nlohmann::json;

struct Options {
    bool is_json = false;
    double timeout_s = 5;
    std::uint32_t votes = 0;
    std::uint32_t node = 0;
    std::uint64_t count = 0;
    std::string config_file;
    std::vector<std::string> steps;
    bool device_votes = false;
};

int exit_code_of(cs_error_t error) {
    if (error == CS_ERR_LIBRARY) return kNotRunning;
    if (error == CS_ERR_ACCESS) return kNoPermission;
    return error == CS_ERR_TRY_AGAIN ? kNoAnswer : kFailed;
}

int fail(const char* what, cs_error_t error) {
    std::fprintf(stderr, "haloctl quorum: %s: %s\n", what, cs_strerror(error));
    return exit_code_of(error);
}

// ---------------------------------------------------------------- status

base::Expected<json, int> ask(const Options& options, const std::string& run_folder) {
    const base::Duration timeout =
        std::chrono::milliseconds(static_cast<long>(options.timeout_s * 1000));
    auto value = ipc::ask_status(run_folder + "/quorumd.status", {{"get", "status"}}, timeout);
    if (value) return *std::move(value);
    std::fprintf(stderr, "haloctl quorum: %s\n", value.error().text.c_str());
    switch (value.error().cause) {
        case ipc::StatusError::Cause::NotRunning:
            return base::fail(kNotRunning);
        case ipc::StatusError::Cause::NoPermission:
            return base::fail(kNoPermission);
        case ipc::StatusError::Cause::NoAnswer:
            return base::fail(kNoAnswer);
        case ipc::StatusError::Cause::Refused:
        case ipc::StatusError::Cause::Failed:
            return base::fail(kFailed);
    }
    return base::fail(kFailed);
}

void print_nodes(const json& status) {
    std::printf("%10s %6s  %-8s %s\n", "node", "votes", "state", "device");
    for (const json& node : status["nodes"]) {
        const json& device = node["device"];
        std::string said = "-";
        if (device["registered"].get<bool>()) {
            said = device["alive"].get<bool>() ? "alive" : "silent";
            said += device["casts"].get<bool>() ? ", votes" : ", no vote";
            if (device["master_wins"].get<bool>()) said += ", master wins";
        }
        std::printf("%10u %6u  %-8s %s\n", node["node"].get<std::uint32_t>(),
                    node["votes"].get<std::uint32_t>(), node["state"].get<std::string>().c_str(),
                    said.c_str());
    }
}

int status(const Options& options, const std::string& run_folder) {
    const auto asked = ask(options, run_folder);
    if (!asked) return asked.error();
    const json& told = *asked;
    if (options.is_json) {
        std::printf("%s\n", told.dump(2).c_str());
        return told["quorate"].get<bool>() ? kOk : kFailed;
    }
    const bool is_quorate = told["quorate"].get<bool>();
    std::printf("quorate:  %s\n", is_quorate ? "yes" : "no");
    if (!is_quorate) std::printf("why not:  %s\n", told["reason"].get<std::string>().c_str());
    if (told["provider"].is_null()) std::printf("          no provider: always quorate\n");
    std::printf("votes:    %u present, %u needed, %u expected\n",
                told["total_votes"].get<std::uint32_t>(), told["quorum"].get<std::uint32_t>(),
                told["expected_votes"].get<std::uint32_t>());
    if (told["lease_left_ms"].is_number())
        std::printf("lease:    %.1f s left of %.1f s\n",
                    static_cast<double>(told["lease_left_ms"].get<std::int64_t>()) / 1000,
                    static_cast<double>(told["lease_ms"].get<std::int64_t>()) / 1000);
    std::printf("ring:     %llu of node %u\n",
                static_cast<unsigned long long>(told["ring"]["seq"].get<std::uint64_t>()),
                told["ring"]["representative"].get<std::uint32_t>());
    if (told["device"].is_string())
        std::printf("device:   %s, %u votes%s\n", told["device"].get<std::string>().c_str(),
                    told["options"]["device_votes"].get<std::uint32_t>(),
                    told["device_votes_count"].get<bool>() ? "" : " that do not count now");
    std::printf("\n");
    print_nodes(told);
    return is_quorate ? kOk : kFailed;
}

// ---------------------------------------------------------------- changes

template <class Change>
int change(const char* what, Change run) {
    votequorum_handle_t handle = 0;
    if (const cs_error_t error = votequorum_initialize(&handle, nullptr); error != CS_OK)
        return fail("cannot reach quorumd", error);
    const cs_error_t error = run(handle);
    (void)votequorum_finalize(handle);  // The program ends.
    return error == CS_OK ? kOk : fail(what, error);
}

int expect(const Options& options, const std::string&) {
    return change(
        "expected votes are not changed (fewer than are present, or too many to keep the "
        "quorum?)",
        [&](votequorum_handle_t handle) { return votequorum_setexpected(handle, options.votes); });
}

int votes(const Options& options, const std::string&) {
    return change("votes are not changed", [&](votequorum_handle_t handle) {
        return votequorum_setvotes(handle, options.node, options.votes);
    });
}

// ---------------------------------------------------------------- watch

std::string list_text(std::uint32_t count, const std::uint32_t* list) {
    std::string text;
    for (std::uint32_t i = 0; i < count; ++i) {
        text += fmt::format("{}{}", i > 0 ? "," : "", list[i]);
    }
    return text.empty() ? "-" : text;
}

// Callbacks get no pointer of ours: there is one watcher in this program.
struct Watching {
    bool is_json = false;
    std::uint64_t printed = 0;
};
Watching& watching() {
    static Watching one;
    return one;
}

void print_line(const json& line, const std::string& text) {
    std::printf("%s\n", watching().is_json ? line.dump().c_str() : text.c_str());
    (void)std::fflush(stdout);  // Who reads sees it now, or is gone.
    ++watching().printed;
}

json numbers(std::uint32_t count, const std::uint32_t* list) {
    return std::vector<std::uint32_t>(list, list + count);
}

void on_quorum(quorum_handle_t, std::uint32_t quorate, quorum_ring_id ring, std::uint32_t count,
               const std::uint32_t* members) {
    print_line({{"event", "quorum"},
                {"quorate", quorate != 0},
                {"ring", ring.seq},
                {"members", numbers(count, members)}},
               fmt::format("{} ring {} members {}", quorate != 0 ? "quorum" : "no quorum", ring.seq,
                           list_text(count, members)));
}

void on_nodes(quorum_handle_t, quorum_ring_id ring, std::uint32_t member_count,
              const std::uint32_t* members, std::uint32_t joined_count, const std::uint32_t* joined,
              std::uint32_t left_count, const std::uint32_t* left) {
    print_line({{"event", "members"},
                {"ring", ring.seq},
                {"members", numbers(member_count, members)},
                {"joined", numbers(joined_count, joined)},
                {"left", numbers(left_count, left)}},
               fmt::format("members {} ring {} joined {} left {}", list_text(member_count, members),
                           ring.seq, list_text(joined_count, joined), list_text(left_count, left)));
}

int watch(const Options& options, const std::string&) {
    quorum_model_v1_data_t model{};
    model.model = QUORUM_MODEL_V1;
    model.quorum_notify_fn = on_quorum;
    model.nodelist_notify_fn = on_nodes;
    quorum_handle_t handle = 0;
    std::uint32_t type = 0;
    // The interface takes every model through a pointer to their common head.
    auto* head = reinterpret_cast<quorum_model_data_t*>(&model);
    cs_error_t error = quorum_model_initialize(&handle, QUORUM_MODEL_V1, head, &type, nullptr);
    if (error != CS_OK) return fail("cannot reach quorumd", error);
    watching().is_json = options.is_json;
    error = quorum_trackstart(handle, CS_TRACK_CURRENT | CS_TRACK_CHANGES);
    while (error == CS_OK && (options.count == 0 || watching().printed < options.count)) {
        error = quorum_dispatch(handle, CS_DISPATCH_ONE);
    }
    (void)quorum_finalize(handle);  // The program ends.
    return error == CS_OK ? kOk : fail("quorumd is gone", error);
}

// ---------------------------------------------------------------- simulate

int simulate(const Options& options, const std::string&) {
    const auto loaded = config::load(config::find_file(options.config_file), {});
    if (!loaded) {
        std::fputs(config::problems_text(loaded.error()).c_str(), stderr);
        return kConfiguration;
    }
    const auto rows = simulate_failures(loaded->cluster, options.steps, options.device_votes);
    if (!rows) {
        std::fprintf(stderr, "haloctl quorum simulate: %s\n", rows.error().c_str());
        return kUsage;
    }
    std::fputs(options.is_json ? simulation_json(*rows).c_str() : simulation_text(*rows).c_str(),
               stdout);
    return kOk;
}

}  // namespace

void add_quorum(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("quorum", "votes and quorum of the cluster");
    command->require_subcommand(1);
    const auto options = std::make_shared<Options>();
    const auto add = [&](const char* name, const char* help,
                         int (*run)(const Options&, const std::string&)) {
        CLI::App* sub = command->add_subcommand(name, help);
        add_run_option(*sub, context);
        sub->callback([options, run, &context] {
            // The libraries find their daemon in this folder.
            (void)::setenv("HALO_RUN_DIR", context.run_folder.c_str(), 1);
            context.exit_code = run(*options, context.run_folder);
        });
        return sub;
    };
    CLI::App* shower =
        add("status", "may this node act, with which votes, and for how long", status);
    shower->add_flag("--json", options->is_json, "for programs");
    shower->add_option("--timeout", options->timeout_s, "seconds to wait for the daemon")
        ->check(CLI::Range(0.01, 600.0));

    CLI::App* voter = add("votes", "set the votes of a node", votes);
    voter->add_option("VOTES", options->votes)->required()->check(CLI::Range(0, 65535));
    voter->add_option("NODE", options->node, "nodeid; default: this node");

    CLI::App* expecter = add("expect", "set the expected votes of the cluster", expect);
    expecter->add_option("VOTES", options->votes)->required()->check(CLI::Range(1, 65535));

    CLI::App* watcher = add("watch", "print each change of members and of quorum", watch);
    watcher->add_flag("--json", options->is_json, "one JSON object a line");
    watcher->add_option("--count", options->count, "end after so many events");

    CLI::App* simulator =
        add("simulate", "what if these nodes fail, by a configuration file", simulate);
    simulator->add_option("FAILED", options->steps,
                          "nodeids that fail at once, joined by commas; several: one after the "
                          "other. Default: each node alone");
    simulator->add_option("-c,--config", options->config_file, "the configuration file");
    simulator->add_flag("--device", options->device_votes,
                        "the quorum device votes for who is left");
    simulator->add_flag("--json", options->is_json, "for programs");
}

}  // namespace haloctl
