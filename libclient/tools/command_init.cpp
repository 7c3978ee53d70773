#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>

#include "common/config/key_file.hpp"
#include "common/os/durable_file.hpp"
#include "libclient/tools/cluster_files.hpp"
#include "libclient/tools/commands.hpp"
#include "libclient/tools/new_cluster.hpp"

namespace haloctl {
namespace {

struct Options {
    std::string cluster;
    std::vector<std::string> nodes;
    ClusterFiles files;
    bool replaces = false;
    bool is_elsewhere = false;
};

// One line from who sits there; nothing: the end of the input.
std::optional<std::string> ask(const char* question) {
    std::fprintf(stderr, "%s ", question);
    std::string line;
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
}

// What the command line has left open. False: the input ended.
bool ask_for_rest(Options& options) {
    while (options.cluster.empty()) {
        const auto answer = ask("Name of the cluster:");
        if (!answer) return false;
        options.cluster = *answer;
    }
    if (!options.nodes.empty()) return true;
    std::fputs(
        "Nodes, one a line: NAME=ADDRESS, or NAME=ADDRESS,ADDRESS for two links; an empty line "
        "ends the list.\n",
        stderr);
    for (;;) {
        const auto answer = ask("Node:");
        if (!answer) return false;
        if (!answer->empty()) {
            const auto node = parse_node(*answer, 1);
            if (node) {
                options.nodes.push_back(*answer);
            } else {
                std::fprintf(stderr, "%s\n", node.error().c_str());
            }
        } else if (!options.nodes.empty()) {
            return true;
        }
    }
}

base::Expected<std::vector<NewNode>, std::string> nodes_of(const Options& options) {
    std::vector<NewNode> nodes;
    std::uint32_t next_id = 1;
    for (const std::string& text : options.nodes) {
        auto node = parse_node(text, next_id);
        if (!node) return base::fail(node.error());
        next_id = node->id + 1;
        nodes.push_back(std::move(*node));
    }
    return nodes;
}

int complain(const os::Error& error) {
    std::fprintf(stderr, "haloctl init: %s\n", error.text().c_str());
    return error.code == EACCES ? kNoPermission : kFailed;
}

void say_next(const Options& options, const config::Key& key, const std::vector<NewNode>& nodes,
              bool is_one_of_them) {
    std::printf("Wrote %s and %s (fingerprint %s).\n", options.files.configuration().c_str(),
                options.files.key().c_str(), key.fingerprint().c_str());
    if (nodes.size() > 1) {
        const std::string from =
            options.files.is_where_units_look() ? "" : " --from " + options.files.folder;
        std::printf(
            "\nOn each other node:\n    haloctl join root@%s%s\n"
            "or, without ssh, with a file that nobody else may see:\n"
            "    tar -C %s -cf cluster.tar halo.conf authkey    # here\n"
            "    haloctl join cluster.tar                       # there\n",
            is_one_of_them ? "THIS-HOST" : "HOST", from.c_str(), options.files.folder.c_str());
    }
    std::printf("\n%s", start_text(options.files).c_str());
}

int init(Options& options) {
    if (const int failed = check_absent("init", options.files, options.replaces); failed != kOk)
        return failed;
    if (options.cluster.empty() || options.nodes.empty()) {
        if (::isatty(STDIN_FILENO) == 0) {
            std::fputs("haloctl init: --name and --node are needed (a terminal would be asked)\n",
                       stderr);
            return kUsage;
        }
        if (!ask_for_rest(options)) return kFailed;
    }
    const auto nodes = nodes_of(options);
    if (!nodes) {
        std::fprintf(stderr, "haloctl init: %s\n", nodes.error().c_str());
        return kUsage;
    }
    const std::string text = new_configuration(options.cluster, *nodes);
    if (!check_configuration("init", text, options.files, !options.is_elsewhere))
        return kConfiguration;
    if (const int failed = make_folder("init", options.files.folder); failed != kOk) return failed;
    const auto existing = options.replaces ? os::Existing::Replace : os::Existing::Keep;
    const auto key = config::generate_key(options.files.key(), existing);
    if (!key) return complain(key.error());
    const auto written = os::write_durably(options.files.configuration(),
                                           std::as_bytes(std::span(text)), 0644, existing);
    if (!written) return complain(written.error());
    say_next(options, *key, *nodes, !options.is_elsewhere);
    return kOk;
}

}  // namespace

void add_init(CLI::App& app, Context& context) {
    const auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand(
        "init", "make the configuration and the key of a new cluster; asks for what is not given");
    command->add_option("--name", options->cluster, "name of the cluster");
    command->add_option("--node", options->nodes,
                        "a node: NAME=ADDRESS[,ADDRESS...], an address a link; once for each");
    command->add_option("--folder", options->files.folder, "where to write halo.conf and authkey")
        ->capture_default_str();
    command->add_flag("--force", options->replaces, "replace what is there");
    command->add_flag("--elsewhere", options->is_elsewhere,
                      "this host is none of the nodes, and need not be");
    command->callback([options, &context] { context.exit_code = init(*options); });
}

}  // namespace haloctl
