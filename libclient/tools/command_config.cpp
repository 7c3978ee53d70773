#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/config/keys.hpp"
#include "common/config/load.hpp"
#include "common/config/schema.hpp"
#include "common/ipc/status_client.hpp"
#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"

namespace haloctl {
namespace {

using nlohmann::json;

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

json directive_json(const config::Directive& directive) {
    static constexpr const char* kTypes[] = {"text", "number", "switch", "choice", "address"};
    static constexpr const char* kReloads[] = {"yes", "no", "start"};
    static constexpr const char* kStandings[] = {"used", "no effect", "obsolete"};
    json object{{"directive", std::string(directive.path)},
                {"standing", kStandings[static_cast<std::size_t>(directive.standing)]},
                {"help", std::string(directive.help)}};
    if (directive.standing == config::Standing::Used) {
        object["takes"] = kTypes[static_cast<std::size_t>(directive.type)];
        object["reload"] = kReloads[static_cast<std::size_t>(directive.reload)];
        object["default"] = std::string(directive.default_text);
        object["unit"] = std::string(directive.unit);
        if (directive.type == config::Type::Number) {
            object["min"] = directive.min;
            object["max"] = directive.max;
        }
        if (directive.type == config::Type::Choice)
            object["choices"] = std::string(directive.choices);
    }
    if (const std::string key = config::key_name(directive); !key.empty()) {
        object["key"] = key;
        object["key_type"] = std::string(config::name_of(config::key_type(directive.path)));
    }
    return object;
}

struct ExplainOptions {
    std::string wanted;
    bool is_json = false;
};

int explain(const ExplainOptions& options) {
    const std::string& wanted = options.wanted;
    json found = json::array();
    for (const auto& list : {config::totem_directives(), config::other_directives()}) {
        for (const config::Directive& directive : list) {
            if (!wanted.empty() && !explains(directive, wanted)) continue;
            found.push_back(directive_json(directive));
            if (!options.is_json) std::fputs(config::explain(directive).c_str(), stdout);
        }
    }
    if (options.is_json) std::puts(found.dump(2).c_str());
    if (!found.empty()) return kOk;
    const std::string near = nearest_path(wanted);
    std::fprintf(stderr, "haloctl config explain: no directive '%s'%s\n", wanted.c_str(),
                 near.empty() ? "" : ("; did you mean '" + near + "'?").c_str());
    return kFailed;
}

// What a daemon says of its keys, as ours; what it says wrongly is left out and so differs.
config::Keys keys_of_json(const json& keys) {
    config::Keys result;
    for (const auto& [name, entry] : keys.items()) {
        if (!entry.is_object() || !entry.contains("value")) continue;
        const json& value = entry["value"];
        const std::string type = entry.value("type", std::string());
        const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
        for (const auto each :
             {config::KeyType::U8, config::KeyType::U16, config::KeyType::I32, config::KeyType::U32,
              config::KeyType::U64, config::KeyType::Text}) {
            if (config::name_of(each) != type) continue;
            if (auto parsed = config::parse_key(each, text)) result[name] = *parsed;
        }
    }
    return result;
}

json value_json(const std::optional<config::KeyValue>& value) {
    if (!value) return nullptr;
    return std::visit([](const auto& each) { return json(each); }, *value);
}

struct DiffOptions {
    std::string file;
    bool is_json = false;
};

// The file against what ringd runs with: 0 they are the same, 1 they differ.
int diff(const DiffOptions& options, const std::string& run_folder) {
    const auto running = ipc::ask_status(run_folder + "/ringd.status", {{"get", "configuration"}});
    if (!running) {
        std::fprintf(stderr, "haloctl config diff: %s\n", running.error().text.c_str());
        return running.error().cause == ipc::StatusError::Cause::NotRunning ? kNotRunning
                                                                            : kNoAnswer;
    }
    const std::string own = running->value("file", std::string());
    const std::string file = options.file.empty() ? own : options.file;
    auto host = config::this_host();
    if (!host) {
        std::fprintf(stderr, "haloctl config diff: %s\n", host.error().text().c_str());
        return kFailed;
    }
    config::LoadOptions load;
    load.host = std::move(*host);
    const auto loaded = config::load(file, load);
    if (!loaded) {
        std::fputs(config::problems_text(loaded.error()).c_str(), stderr);
        return kConfiguration;
    }
    const auto changes = config::changes_between(
        keys_of_json(running->value("keys", json::object())), config::keys_of(*loaded));
    json list = json::array();
    for (const auto& change : changes.all) {
        list.push_back({{"key", change.name},
                        {"running", value_json(change.before)},
                        {"file", value_json(change.after)}});
        if (options.is_json) continue;
        if (change.before)
            std::printf("- %s %s\n", change.name.c_str(), config::text_of(*change.before).c_str());
        if (change.after)
            std::printf("+ %s %s\n", change.name.c_str(), config::text_of(*change.after).c_str());
    }
    if (options.is_json) std::puts(list.dump(2).c_str());
    return changes.all.empty() ? kOk : kFailed;
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

    const auto wanted = std::make_shared<ExplainOptions>();
    CLI::App* explainer = command->add_subcommand(
        "explain", "what a directive does, its range, default and what a reload does");
    explainer->add_option("KEY", wanted->wanted, "totem.token, token, or a section; nothing: all");
    explainer->add_flag("--json", wanted->is_json, "for programs");
    const auto compared = std::make_shared<DiffOptions>();
    CLI::App* differ = command->add_subcommand(
        "diff", "the keys of a file that differ from what this node runs with");
    add_run_option(*differ, context);
    differ->add_option("FILE", compared->file, "default: the file that ringd has read");
    differ->add_flag("--json", compared->is_json, "for programs");
    differ->callback(
        [compared, &context] { context.exit_code = diff(*compared, context.run_folder); });
    explainer->callback([wanted, &context] { context.exit_code = explain(*wanted); });
}

}  // namespace haloctl
