#include "common/config/keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "common/config/reader.hpp"
#include "common/config/schema.hpp"

namespace config {
namespace {

struct TypedPath {
    std::string_view path;
    KeyType type;
};

// Whatever is not here is text. Directives without effect are here, too: clients read their keys.
constexpr auto kTyped = std::to_array<TypedPath>({
    {"totem.version", KeyType::U32},
    {"totem.nodeid", KeyType::U32},
    {"totem.threads", KeyType::U32},
    {"totem.config_version", KeyType::U64},
    {"totem.netmtu", KeyType::U32},
    {"totem.token", KeyType::U32},
    {"totem.token_coefficient", KeyType::U32},
    {"totem.token_warning", KeyType::U32},
    {"totem.token_retransmit", KeyType::U32},
    {"totem.token_retransmits_before_loss_const", KeyType::U32},
    {"totem.hold", KeyType::U32},
    {"totem.join", KeyType::U32},
    {"totem.send_join", KeyType::U32},
    {"totem.consensus", KeyType::U32},
    {"totem.merge", KeyType::U32},
    {"totem.downcheck", KeyType::U32},
    {"totem.fail_recv_const", KeyType::U32},
    {"totem.seqno_unchanged_const", KeyType::U32},
    {"totem.heartbeat_failures_allowed", KeyType::U32},
    {"totem.max_network_delay", KeyType::U32},
    {"totem.window_size", KeyType::U32},
    {"totem.max_messages", KeyType::U32},
    {"totem.miss_count_const", KeyType::U32},
    {"totem.knet_mtu", KeyType::U32},
    {"totem.knet_pmtud_interval", KeyType::U32},
    {"totem.knet_compression_threshold", KeyType::U32},
    {"totem.knet_compression_level", KeyType::I32},
    {"totem.interface.mcastport", KeyType::U16},
    {"totem.interface.ttl", KeyType::U8},
    {"totem.interface.knet_link_priority", KeyType::U8},
    {"totem.interface.knet_ping_interval", KeyType::U32},
    {"totem.interface.knet_ping_timeout", KeyType::U32},
    {"totem.interface.knet_ping_precision", KeyType::U32},
    {"totem.interface.knet_pong_count", KeyType::U32},
    {"nodelist.node.nodeid", KeyType::U32},
    {"nodelist.node.quorum_votes", KeyType::U32},
    {"quorum.expected_votes", KeyType::U32},
    {"quorum.votes", KeyType::U32},
    {"quorum.two_node", KeyType::U8},
    {"quorum.wait_for_all", KeyType::U8},
    {"quorum.last_man_standing", KeyType::U8},
    {"quorum.last_man_standing_window", KeyType::U32},
    {"quorum.auto_tie_breaker", KeyType::U8},
    {"quorum.allow_downscale", KeyType::U8},
    {"quorum.expected_votes_tracking", KeyType::U8},
    {"quorum.leaving_timeout", KeyType::U32},
    {"quorum.device.votes", KeyType::U32},
    {"quorum.device.timeout", KeyType::U32},
    {"quorum.device.sync_timeout", KeyType::U32},
    {"quorum.device.master_wins", KeyType::U8},
    {"halo.heartbeat_interval", KeyType::U32},
    {"halo.silence_min", KeyType::U32},
    {"halo.silence_max", KeyType::U32},
    {"halo.probes_to_convict", KeyType::U32},
    {"halo.gather_timeout", KeyType::U32},
    {"halo.window_bytes", KeyType::U32},
    {"halo.visit_bytes", KeyType::U32},
    {"halo.accelerated_bytes", KeyType::U32},
    {"halo.queue_bytes_max", KeyType::U32},
    {"halo.service_grace", KeyType::U32},
    {"halo.retained_bytes_max", KeyType::U64},
    {"resources.watchdog_timeout", KeyType::U32},
    {"resources.system.memory_used.poll_period", KeyType::U64},
    {"resources.system.load_15min.poll_period", KeyType::U64},
    {"uidgid.uid", KeyType::U8},
    {"uidgid.gid", KeyType::U8},
    {"pload.count", KeyType::U32},
    {"pload.size", KeyType::U32},
});

template <class Number>
std::optional<KeyValue> number_of(std::string_view text) {
    Number number{};
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size())
        return KeyValue(number);
    if (const auto is_on = parse_switch(text)) return KeyValue(static_cast<Number>(*is_on ? 1 : 0));
    return std::nullopt;
}

// Adds the values of a section whose keys start with `prefix` and whose directives with `path`.
class Writer {
  public:
    explicit Writer(Keys& keys) : keys_(keys) {}

    void values(const Section& section, const std::string& path, const std::string& prefix,
                std::string_view left_out = {}) {
        for (const Value& value : section.values) {
            if (value.key == left_out) continue;
            const auto parsed =
                parse_key(key_type(fmt::format("{}.{}", path, value.key)), value.text);
            // What is no number was refused by the check, except in what is obsolete.
            keys_[fmt::format("{}.{}", prefix, value.key)] = parsed.value_or(value.text);
        }
    }

    void tree(const Section& section, const std::string& path) {
        values(section, path, path);
        for (const Section& child : section.sections) {
            tree(child, fmt::format("{}.{}", path, child.name));
        }
    }

  private:
    Keys& keys_;
};

void add_totem(const Section& totem, Keys& keys) {
    Writer writer(keys);
    writer.values(totem, "totem", "totem", "key");
    for (const Section& section : totem.sections) {
        if (section.name != "interface") continue;
        const Values values({&section});
        const std::uint64_t link =
            values.number("linknumber").value_or(values.number("ringnumber").value_or(0));
        writer.values(section, "totem.interface", fmt::format("totem.interface.{}", link),
                      "linknumber");
    }
}

void add_logging(const Section& logging, Keys& keys) {
    Writer writer(keys);
    writer.values(logging, "logging", "logging");
    for (const Section& part : logging.sections) {
        const Values values({&part});
        if (part.name == "logger_subsys") {
            const std::string name = values.text("subsys");
            writer.values(part, "logging", fmt::format("logging.logger_subsys.{}", name));
            continue;
        }
        std::string prefix = fmt::format("logging.logging_daemon.{}", values.text("name"));
        if (const Value* subsys = values.find("subsys")) prefix += "." + subsys->text;
        writer.values(part, "logging", prefix);
    }
}

void add_local(const ClusterConfig& cluster, std::uint32_t position, Keys& keys) {
    keys["nodelist.local_node_pos"] = position;
    for (const Link& link : cluster.links) {
        const auto& own = cluster.local()->links.at(link.number);
        if (own)
            keys[fmt::format("totem.interface.{}.bindnetaddr", link.number)] = own->resolved.text();
    }
}

void add_nodes(const Section& document, const ClusterConfig& cluster, Keys& keys) {
    std::uint32_t position = 0;
    for (const Section* list : document.all("nodelist")) {
        for (const Section* node : list->all("node")) {
            const std::string prefix = fmt::format("nodelist.node.{}", position);
            Writer(keys).values(*node, "nodelist.node", prefix);
            const auto same = std::ranges::find(cluster.nodes, node->at, &Node::at);
            if (same != cluster.nodes.end()) {
                keys[prefix + ".nodeid"] = same->id.value();  // It may be made from the address.
                if (cluster.self == same->id) add_local(cluster, position, keys);
            }
            ++position;
        }
    }
}

std::uint32_t milliseconds(Milliseconds time) {
    return static_cast<std::uint32_t>(time.count());
}

}  // namespace

KeyType key_type(std::string_view directive_path) {
    const auto found = std::ranges::find(kTyped, directive_path, &TypedPath::path);
    return found == kTyped.end() ? KeyType::Text : found->type;
}

std::string_view name_of(KeyType type) {
    switch (type) {
        case KeyType::U8:
            return "u8";
        case KeyType::U16:
            return "u16";
        case KeyType::I32:
            return "i32";
        case KeyType::U32:
            return "u32";
        case KeyType::U64:
            return "u64";
        case KeyType::Text:
            return "str";
    }
    return {};
}

std::optional<KeyValue> parse_key(KeyType type, std::string_view text) {
    switch (type) {
        case KeyType::U8:
            return number_of<std::uint8_t>(text);
        case KeyType::U16:
            return number_of<std::uint16_t>(text);
        case KeyType::I32:
            return number_of<std::int32_t>(text);
        case KeyType::U32:
            return number_of<std::uint32_t>(text);
        case KeyType::U64:
            return number_of<std::uint64_t>(text);
        case KeyType::Text:
            return KeyValue(std::string(text));
    }
    return std::nullopt;
}

std::string text_of(const KeyValue& value) {
    return std::visit([](const auto& each) { return fmt::format("{}", each); }, value);
}

Keys keys_of(const Loaded& loaded) {
    Keys keys;
    for (const Section& section : loaded.document.sections) {
        if (section.name == "totem") {
            add_totem(section, keys);
        } else if (section.name == "logging") {
            add_logging(section, keys);
        } else if (section.name != "nodelist" && section.name != "uidgid") {
            Writer(keys).tree(section, section.name);
        }
    }
    add_nodes(loaded.document, loaded.cluster, keys);
    for (const uid_t uid : loaded.cluster.clients.uids) {
        keys[fmt::format("uidgid.config.uid.{}", uid)] = std::uint8_t{1};
    }
    for (const gid_t gid : loaded.cluster.clients.gids) {
        keys[fmt::format("uidgid.config.gid.{}", gid)] = std::uint8_t{1};
    }
    return keys;
}

Keys keys_in_force(const ClusterConfig& cluster) {
    const TotemTimes& times = cluster.times;
    const FlowLimits& flow = cluster.flow;
    const std::string totem = "runtime.config.totem.";
    const std::string halo = "runtime.config.halo.";
    Keys keys{
        {totem + "token", milliseconds(times.token)},
        {totem + "token_retransmit", milliseconds(times.token_retransmit)},
        {totem + "join", milliseconds(times.join)},
        {totem + "consensus", milliseconds(times.consensus)},
        {totem + "merge", milliseconds(times.merge)},
        {totem + "knet_mtu", cluster.path.fixed.value_or(0)},
        {totem + "block_unlisted_ips", std::uint32_t{cluster.block_unlisted_addresses ? 1u : 0u}},
        {halo + "heartbeat_interval", milliseconds(times.heartbeat_interval)},
        {halo + "silence_min", milliseconds(times.silence_min)},
        {halo + "silence_max", milliseconds(times.silence_max)},
        {halo + "probes_to_convict", times.probes_to_convict},
        {halo + "gather_timeout", milliseconds(times.gather_timeout)},
        {halo + "window_bytes", static_cast<std::uint32_t>(flow.window_bytes)},
        {halo + "visit_bytes", static_cast<std::uint32_t>(flow.visit_bytes)},
        {halo + "accelerated", std::string(flow.accelerated ? "yes" : "no")},
        {halo + "accelerated_bytes", static_cast<std::uint32_t>(flow.accelerated_bytes)},
        {halo + "queue_bytes_max", static_cast<std::uint32_t>(flow.queue_bytes_max)},
        {halo + "service_grace", milliseconds(flow.service_grace)},
        {halo + "retained_bytes_max", std::uint64_t{flow.retained_bytes_max}},
    };
    // All links are watched alike; clients look for it link by link.
    for (const Link& link : cluster.links) {
        const std::string prefix = fmt::format("{}interface.{}.", totem, link.number);
        keys[prefix + "knet_ping_interval"] = milliseconds(times.heartbeat_interval);
        keys[prefix + "knet_ping_timeout"] = milliseconds(times.silence_min);
    }
    return keys;
}

std::string key_name(const Directive& directive) {
    const std::string path(directive.path);
    if (path == "totem.key" || path == "totem.interface.linknumber") return {};
    if (path == "uidgid.uid" || path == "uidgid.gid")
        return fmt::format("uidgid.config.{}.N", path.substr(path.size() - 3));
    for (const std::string_view repeated : {"totem.interface.", "nodelist.node."}) {
        if (path.starts_with(repeated))
            return fmt::format("{}N.{}", repeated, path.substr(repeated.size()));
    }
    return path;
}

KeyChanges changes_between(const Keys& before, const Keys& after) {
    KeyChanges changes;
    auto old = before.begin();
    auto fresh = after.begin();
    while (old != before.end() || fresh != after.end()) {
        if (fresh == after.end() || (old != before.end() && old->first < fresh->first)) {
            changes.all.push_back({old->first, old->second, std::nullopt});
            ++old;
        } else if (old == before.end() || fresh->first < old->first) {
            changes.all.push_back({fresh->first, std::nullopt, fresh->second});
            ++fresh;
        } else {
            if (old->second != fresh->second)
                changes.all.push_back({old->first, old->second, fresh->second});
            ++old;
            ++fresh;
        }
    }
    return changes;
}

}  // namespace config
