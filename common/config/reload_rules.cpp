#include "common/config/reload_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "common/config/reader.hpp"
#include "common/config/schema.hpp"

namespace config {
namespace {

// "totem.interface.1.mcastport" has the directive "totem.interface.mcastport".
std::string directive_path(std::string_view key) {
    std::string path;
    while (!key.empty()) {
        const std::size_t dot = std::min(key.find('.'), key.size());
        const std::string_view part = key.substr(0, dot);
        const bool is_number =
            std::ranges::all_of(part, [](unsigned char c) { return std::isdigit(c) != 0; });
        if (!is_number) path += (path.empty() ? "" : ".") + std::string(part);
        key.remove_prefix(std::min(dot + 1, key.size()));
    }
    return path;
}

std::string value_text(const std::optional<KeyValue>& value) {
    return value ? "'" + text_of(*value) + "'" : std::string("not given");
}

// Where a value of a section that is not repeated stands, or the file as a whole.
Position position_of(const Loaded& loaded, std::string_view key) {
    const std::size_t dot = key.rfind('.');
    if (dot == std::string_view::npos) return {loaded.cluster.file, 0};
    const Value* value = Values(loaded.document.all(key.substr(0, dot))).find(key.substr(dot + 1));
    return value == nullptr ? Position{loaded.cluster.file, 0} : value->at;
}

std::string at_text(const Position& at) {
    return at.line == 0 ? at.file : fmt::format("{}:{}", at.file, at.line);
}

void judge_key(const KeyChanges::Change& change, const Loaded& next, ReloadVerdict& verdict) {
    // Nodes are judged as nodes: their places in the file mean nothing.
    if (change.name.starts_with("nodelist.")) return;
    const Directive* directive = find_directive(directive_path(change.name));
    if (directive == nullptr || directive->standing != Standing::Used) return;
    switch (directive->reload) {
        case Reload::Yes:
            return;
        case Reload::Start:
            verdict.at_next_start.push_back(change.name);
            return;
        case Reload::No:
            verdict.refused.push_back(
                fmt::format("{}: {} cannot change while the node runs: {} is in force, the file "
                            "says {}; stop all nodes and start them with the new file",
                            at_text(position_of(next, change.name)), change.name,
                            value_text(change.before), value_text(change.after)));
            return;
    }
}

// A node that is now said to have another id: its former self would stay in the cluster.
void judge_nodes(const Loaded& running, const Loaded& next, ReloadVerdict& verdict) {
    for (const Node& node : next.cluster.nodes) {
        if (node.name.empty()) continue;
        const auto same = std::ranges::find(running.cluster.nodes, node.name, &Node::name);
        if (same == running.cluster.nodes.end() || same->id == node.id) continue;
        verdict.refused.push_back(
            fmt::format("{}: node '{}' has nodeid {} and can't become {} in one step: take it out, "
                        "reload, and put it in again",
                        at_text(node.at), node.name, same->id.value(), node.id.value()));
    }
}

void judge_encryption(const Loaded& running, const Loaded& next, ReloadVerdict& verdict) {
    const auto is_on = [](const Loaded& loaded) {
        return loaded.cluster.crypto.cipher != Cipher::None;
    };
    if (is_on(running) == is_on(next)) return;
    // In between packets would be believed that nothing protects.
    verdict.refused.push_back(
        fmt::format("{}: encryption cannot be switched {} while the node runs: stop all nodes and "
                    "start them with the new file",
                    at_text(position_of(next, "totem.crypto_cipher")), is_on(next) ? "on" : "off"));
}

constexpr auto kOwnKeys = std::to_array<std::string_view>(
    {"totem.keyfile", "totem.nodeid", "nodelist.local_node_pos", "halo.user", "halo.group",
     "halo.sandbox", "halo.resume", "halo.lifelines", "halo.service_grace",
     "halo.retained_bytes_max", "halo.queue_bytes_max"});

bool is_cluster_wide(const std::string& key) {
    if (std::ranges::find(kOwnKeys, key) != kOwnKeys.end() || key.ends_with(".bindnetaddr"))
        return false;
    return key.starts_with("totem.") || key.starts_with("nodelist.") ||
           key.starts_with("quorum.") || key.starts_with("halo.");
}

}  // namespace

ReloadVerdict judge_reload(const Loaded& running, const Loaded& next) {
    ReloadVerdict verdict{.changes = changes_between(keys_of(running), keys_of(next)),
                          .refused = {},
                          .at_next_start = {}};
    for (const KeyChanges::Change& change : verdict.changes.all) {
        judge_key(change, next, verdict);
    }
    judge_nodes(running, next, verdict);
    judge_encryption(running, next, verdict);
    return verdict;
}

std::vector<std::string> cluster_wide(const Loaded& loaded) {
    std::vector<std::string> lines;
    for (const auto& [name, value] : keys_of(loaded)) {
        if (is_cluster_wide(name)) lines.push_back(fmt::format("{} {}", name, text_of(value)));
    }
    return lines;
}

}  // namespace config
