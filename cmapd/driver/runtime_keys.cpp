#include "cmapd/driver/runtime_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cmapd/driver/status_numbers.hpp"

namespace cmapd {
namespace {

using nlohmann::json;

std::string ip_text(const config::Node& node) {
    std::string text;
    for (std::size_t link = 0; link < node.links.size(); ++link) {
        if (node.links[link])
            text += fmt::format("r({}) ip({}) ", link, node.links[link]->resolved.text());
    }
    return text;
}

const json* find_peer(const json& status, base::NodeId node) {
    for (const json& peer : list_of(status, "peers")) {
        if (number(peer, {"node"}) == node.value()) return &peer;
    }
    return nullptr;
}

bool is_up(const json* peer, std::uint8_t link) {
    if (peer == nullptr) return false;
    for (const json& each : list_of(*peer, "links")) {
        if (number(each, {"link"}) == link) return each.value("up", false);
    }
    return false;
}

}  // namespace

void Members::restore(std::string_view key, const protocol::cmap::Value& value) {
    namespace api = protocol::cmap;
    constexpr std::string_view kPrefix = "runtime.members.";
    if (!key.starts_with(kPrefix)) return;
    key.remove_prefix(kPrefix.size());
    std::uint32_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc{} || end == key.data() + key.size()) return;
    Member& member = members_[base::NodeId{id}];
    const std::string_view field = key.substr(static_cast<std::size_t>(end - key.data()));
    const auto text = [&] { return value.bytes.substr(0, value.bytes.size() - 1); };
    if (field == ".join_count") {
        member.join_count = api::as<std::uint32_t>(value).value_or(0);
    } else if (field == ".config_version") {
        member.config_version = api::as<std::uint64_t>(value).value_or(0);
    } else if (field == ".status" && value.type == api::Type::String) {
        member.is_joined = text() == "joined";
    } else if (field == ".ip" && value.type == api::Type::String) {
        member.ip = text();
    }
}

config::Keys Members::view(const std::vector<base::NodeId>& ring_members,
                           const config::ClusterConfig& cluster) {
    config::Keys changed;
    for (const base::NodeId node : ring_members)
        members_.try_emplace(node);
    for (auto& [node, member] : members_) {
        const std::string prefix = fmt::format("runtime.members.{}.", node.value());
        const bool is_there = std::ranges::find(ring_members, node) != ring_members.end();
        const bool joins = is_there && !member.is_joined;
        if (joins) ++member.join_count;
        if (joins && member.join_count == 1)
            changed[prefix + "config_version"] = member.config_version;
        if (joins) changed[prefix + "join_count"] = member.join_count;
        if (joins || is_there != member.is_joined)
            changed[prefix + "status"] = std::string(is_there ? "joined" : "left");
        member.is_joined = is_there;
        const config::Node* configured = cluster.node(node);
        if (configured == nullptr) continue;
        std::string ip = ip_text(*configured);
        if (ip == member.ip) continue;
        member.ip = std::move(ip);
        changed[prefix + "ip"] = member.ip;
    }
    return changed;
}

config::Keys Members::greeted(base::NodeId node, std::uint64_t config_version) {
    Member& member = members_[node];
    if (member.config_version == config_version) return {};
    member.config_version = config_version;
    return {{fmt::format("runtime.members.{}.config_version", node.value()), config_version}};
}

config::Keys vote_keys(const json& status) {
    if (!status.is_object() || !status.contains("options")) return {};
    const json& options = status["options"];
    const auto is_set = [&](const char* name) { return options.value(name, false); };
    const auto flag = [](bool is) { return static_cast<std::uint8_t>(is ? 1 : 0); };
    const std::string prefix = "runtime.votequorum.";
    config::Keys keys;
    const json& members = list_of(status, "members");
    keys[prefix + "this_node_id"] = u32(number(status, {"node"}));
    keys[prefix + "lowest_node_id"] = members.empty() ? 0u : u32(count_of(members.front()));
    keys[prefix + "highest_node_id"] = members.empty() ? 0u : u32(count_of(members.back()));
    keys[prefix + "two_node"] = flag(is_set("two_node"));
    keys[prefix + "ev_barrier"] = u32(number(options, {"expected_votes"}));
    if (is_set("wait_for_all"))
        keys[prefix + "wait_for_all_status"] = flag(status.value("waits_for_all", false));
    const json breaker = options.value("tie_breaker", json());
    if (breaker.is_string()) {
        const std::uint32_t type = breaker == "lowest" ? 1 : breaker == "highest" ? 2 : 3;
        keys[prefix + "atb_type"] = type;
    }
    return keys;
}

std::vector<base::NodeId> file_order(const config::Loaded& loaded) {
    std::vector<const config::Node*> nodes;
    for (const config::Node& node : loaded.cluster.nodes)
        nodes.push_back(&node);
    std::ranges::sort(nodes, {}, [](const config::Node* node) { return node->at.line; });
    std::vector<base::NodeId> order;
    for (const config::Node* node : nodes)
        order.push_back(node->id);
    return order;
}

protocol::cfg::RingStatus ring_status_of(const json& ringd_status,
                                         const config::ClusterConfig& cluster,
                                         const std::vector<base::NodeId>& order) {
    protocol::cfg::RingStatus status;
    for (const config::Link& link : cluster.links) {
        const auto& own = cluster.local()->links.at(link.number);
        if (!own) continue;
        protocol::cfg::RingStatus::Link& out = status.links.emplace_back();
        out.number = link.number;
        out.address = own->resolved.text();
        for (const base::NodeId node : order) {
            const json* peer = find_peer(ringd_status, node);
            out.status += node == cluster.self ? 'n' : is_up(peer, link.number) ? '3' : '1';
        }
    }
    return status;
}

protocol::cfg::NodeStatus node_status_of(const json& ringd_status,
                                         const config::ClusterConfig& cluster, base::NodeId node) {
    const json* peer = find_peer(ringd_status, node);
    const bool is_self = cluster.self == node;
    protocol::cfg::NodeStatus status{.node = node, .is_reachable = is_self, .links = {}};
    if (peer != nullptr) status.is_reachable = peer->value("heard", false);
    const std::uint32_t mtu = u32(number(ringd_status, {"packet_bytes"}));
    const config::Node* there = cluster.node(node);
    for (const config::Link& link : cluster.links) {
        const auto& own = cluster.local()->links.at(link.number);
        const auto& other = there->links.at(link.number);
        if (!own || !other) continue;
        const bool up = is_self || is_up(peer, link.number);
        status.links.at(link.number) = {.is_enabled = true,
                                        .is_connected = up,
                                        .mtu = up ? mtu : 0,
                                        .own_address = own->resolved.text(),
                                        .peer_address = other->resolved.text()};
    }
    return status;
}

}  // namespace cmapd
