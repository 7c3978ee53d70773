#include <cstdio>
#include <memory>

#include "common/config/load.hpp"
#include "common/config/schema.hpp"
#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"

namespace haloctl {
namespace {

struct CheckOptions {
    std::string file;
    bool is_for_this_host = false;
};

int check(const CheckOptions& options) {
    const std::string file = config::find_file(options.file);
    config::LoadOptions load;
    if (options.is_for_this_host) {
        auto host = config::this_host();
        if (!host) {
            std::fprintf(stderr, "haloctl config check: %s\n", host.error().text().c_str());
            return kFailed;
        }
        load.host = std::move(*host);
    }
    const auto loaded = config::load(file, load);
    const auto& problems = loaded ? loaded->warnings : loaded.error();
    std::fputs(config::problems_text(problems).c_str(), stderr);
    if (!loaded) return kConfiguration;
    const auto& cluster = loaded->cluster;
    std::printf("%s: good: %zu nodes, %zu links%s\n", file.c_str(), cluster.nodes.size(),
                cluster.links.size(),
                cluster.self
                    ? (", this host is node " + std::to_string(cluster.self->value())).c_str()
                    : "");
    return kOk;
}

bool explains(const config::Directive& directive, const std::string& wanted) {
    const std::string path(directive.path);
    return path == wanted || path.starts_with(wanted + ".") || path.ends_with("." + wanted);
}

// A directive or section whose name is like `wanted`, in the section that it names, or in any.
std::string nearest_path(const std::string& wanted) {
    const std::size_t dot = wanted.rfind('.');
    if (dot != std::string::npos) {
        const std::string section = wanted.substr(0, dot);
        const std::string near = config::nearest_name(section, wanted.substr(dot + 1));
        return near.empty() ? near : section + "." + near;
    }
    for (const char* section : {"", "totem", "totem.interface", "nodelist.node", "quorum", "halo",
                                "logging", "system", "uidgid"}) {
        const std::string near = config::nearest_name(section, wanted);
        if (!near.empty()) return near;
    }
    return {};
}

int explain(const std::string& wanted) {
    bool found = false;
    for (const auto& list : {config::totem_directives(), config::other_directives()}) {
        for (const config::Directive& directive : list) {
            if (!wanted.empty() && !explains(directive, wanted)) continue;
            found = true;
            std::fputs(config::explain(directive).c_str(), stdout);
        }
    }
    if (found) return kOk;
    const std::string near = nearest_path(wanted);
    std::fprintf(stderr, "haloctl config explain: no directive '%s'%s\n", wanted.c_str(),
                 near.empty() ? "" : ("; did you mean '" + near + "'?").c_str());
    return kFailed;
}

}  // namespace

void add_config(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("config", "check and explain configuration files");
    command->require_subcommand(1);

    const auto options = std::make_shared<CheckOptions>();
    CLI::App* checker =
        command->add_subcommand("check", "tell everything that is wrong with a file");
    checker->add_option("FILE", options->file,
                        "default: /etc/halo/halo.conf, then /etc/corosync/corosync.conf");
    checker->add_flag("--host", options->is_for_this_host,
                      "also check that this host is one of the nodes");
    checker->callback([options, &context] { context.exit_code = check(*options); });

    const auto wanted = std::make_shared<std::string>();
    CLI::App* explainer = command->add_subcommand(
        "explain", "what a directive does, its range, default and what a reload does");
    explainer->add_option("KEY", *wanted, "totem.token, token, or a section; nothing: all");
    explainer->callback([wanted, &context] { context.exit_code = explain(*wanted); });
}

}  // namespace haloctl
