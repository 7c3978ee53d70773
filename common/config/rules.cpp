#include "common/config/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "common/config/reader.hpp"

namespace config {
namespace {

std::string label(const Node& node) {
    const std::string id = fmt::format("node {}", node.id.value());
    return node.name.empty() ? id : fmt::format("{} ({})", id, node.name);
}

void check_nodes_exist(const ClusterConfig& cluster, const Section& document, Problems& problems) {
    if (!cluster.nodes.empty()) return;
    const auto lists = document.all("nodelist");
    const Position at = lists.empty() ? Position{cluster.file, 0} : lists.front()->at;
    problems.error(at, lists.empty()
                           ? "nodelist {} is missing: every node of the cluster must be listed"
                           : "nodelist {} has no node {}");
}

void check_ids_and_names(const ClusterConfig& cluster, Problems& problems) {
    std::map<base::NodeId, const Node*> ids;
    std::map<std::string, const Node*> names;
    for (const Node& node : cluster.nodes) {
        if (node.id == base::kNoNode) continue;  // Told already.
        const auto [same_id, is_new_id] = ids.emplace(node.id, &node);
        if (!is_new_id)
            problems.error(node.at,
                           fmt::format("two nodes with nodeid {}; the other one is in line {}",
                                       node.id.value(), same_id->second->at.line));
        if (node.name.empty()) continue;
        const auto [same_name, is_new_name] = names.emplace(node.name, &node);
        if (!is_new_name)
            problems.error(node.at, fmt::format("two nodes with name '{}'; the other one is in "
                                                "line {}",
                                                node.name, same_name->second->at.line));
    }
}

void check_addresses(const ClusterConfig& cluster, Problems& problems) {
    std::map<IpAddress, const NodeAddress*> seen;
    for (const Node& node : cluster.nodes) {
        bool has_any = false;
        for (const auto& address : node.links) {
            if (!address) continue;
            has_any = true;
            const auto [same, is_new] = seen.emplace(address->resolved, &*address);
            if (!is_new)
                problems.error(address->at,
                               fmt::format("address {} is given twice; the other one is in line {}",
                                           address->text, same->second->at.line));
            if (address->resolved.is_multicast())
                problems.error(address->at,
                               fmt::format("{} is a multicast address", address->text));
        }
        if (!has_any) problems.error(node.at, label(node) + " has no address (ring0_addr)");
    }
}

// All nodes have the same links, and all addresses of a link are of one family.
void check_links(const ClusterConfig& cluster, Problems& problems) {
    for (const Link& link : cluster.links) {
        const NodeAddress* first = nullptr;
        for (const Node& node : cluster.nodes) {
            const auto& address = node.links.at(link.number);
            if (!address) {
                problems.error(node.at, fmt::format("{} has no ring{}_addr, which other nodes have",
                                                    label(node), link.number));
                continue;
            }
            if (first == nullptr) first = &*address;
            if (first->resolved.family() != address->resolved.family())
                problems.error(
                    address->at,
                    fmt::format("ring{}_addr: {} and {} (line {}) are of different IP "
                                "versions",
                                link.number, address->text, first->text, first->at.line));
        }
        if (link.heartbeat_interval.has_value() != link.silence.has_value())
            problems.error({cluster.file, 0},
                           fmt::format("link {}: knet_ping_interval and knet_ping_timeout are "
                                       "given together or not at all",
                                       link.number));
        if (link.heartbeat_interval && link.silence && *link.silence <= *link.heartbeat_interval)
            problems.error({cluster.file, 0},
                           fmt::format("link {}: knet_ping_timeout must be longer than "
                                       "knet_ping_interval",
                                       link.number));
        if (link.multicast && !link.multicast->is_multicast())
            problems.error({cluster.file, 0},
                           fmt::format("link {}: mcastaddr {} is no multicast address", link.number,
                                       link.multicast->text()));
    }
    if (cluster.links.size() < 2) return;
    for (const Node& node : cluster.nodes) {
        if (node.name.empty())
            problems.error(node.at, label(node) + " needs a name, because there are several links");
    }
}

void check_transport(const ClusterConfig& cluster, const Values& totem, Problems& problems) {
    const Value* transport = totem.find("transport");
    if (transport == nullptr) return;
    if (transport->text == "udp") {
        for (const Link& link : cluster.links) {
            if (link.kind == LinkKind::Rdma)
                problems.error(transport->at, fmt::format("link {}: knet_transport rdma needs "
                                                          "transport knet or rdma",
                                                          link.number));
        }
    }
    if (cluster.links.size() < 2 || transport->text == "knet" || transport->text == "rdma" ||
        transport->text == "iba")
        return;
    problems.error(
        transport->at,
        fmt::format("transport {} has one link only; several need knet or rdma", transport->text));
}

// One line for a relation between two times; the line of the file is that of whichever is written.
void demand(bool holds, const Value* first, const Value* second, const std::string& file,
            const std::string& text, Problems& problems) {
    if (holds) return;
    const Value* written = first != nullptr ? first : second;
    problems.error(written != nullptr ? written->at : Position{file, 0}, text);
}

void check_times(const ClusterConfig& cluster, const Values& totem, const Values& halo,
                 Problems& problems) {
    const TotemTimes& times = cluster.times;
    const auto check = [&](bool holds, const Value* first, const Value* second,
                           const std::string& text) {
        demand(holds, first, second, cluster.file, text, problems);
    };
    const Value* token = totem.find("token");
    const Value* consensus = totem.find("consensus");
    check(times.consensus >= times.token, consensus, token,
          fmt::format("consensus ({} ms) must not be less than token ({} ms with {} nodes)",
                      times.consensus.count(), times.token.count(), cluster.nodes.size()));
    check(times.consensus >= times.join, consensus, totem.find("join"),
          fmt::format("consensus ({} ms) must not be less than join ({} ms)",
                      times.consensus.count(), times.join.count()));
    check(times.token_retransmit < times.token, totem.find("token_retransmit"), token,
          fmt::format("token_retransmit ({} ms) must be less than token ({} ms)",
                      times.token_retransmit.count(), times.token.count()));
    check(times.silence_min <= times.silence_max, halo.find("silence_min"),
          halo.find("silence_max"),
          fmt::format("silence_min ({} ms) must not be more than silence_max ({} ms)",
                      times.silence_min.count(), times.silence_max.count()));
    check(times.heartbeat_interval * 2 <= times.silence_min, halo.find("heartbeat_interval"),
          halo.find("silence_min"),
          fmt::format("silence_min ({} ms) must be at least twice heartbeat_interval ({} ms), or "
                      "one lost packet convicts a peer",
                      times.silence_min.count(), times.heartbeat_interval.count()));
    check(times.gather_timeout > times.join, halo.find("gather_timeout"), totem.find("join"),
          fmt::format("gather_timeout ({} ms) must be more than join ({} ms)",
                      times.gather_timeout.count(), times.join.count()));
    check(cluster.flow.visit_bytes <= cluster.flow.window_bytes, halo.find("visit_bytes"),
          halo.find("window_bytes"),
          fmt::format("visit_bytes ({}) must not be more than window_bytes ({})",
                      cluster.flow.visit_bytes, cluster.flow.window_bytes));
    check(cluster.flow.accelerated_bytes <= cluster.flow.visit_bytes,
          halo.find("accelerated_bytes"), halo.find("visit_bytes"),
          fmt::format("accelerated_bytes ({}) must not be more than visit_bytes ({})",
                      cluster.flow.accelerated_bytes, cluster.flow.visit_bytes));
}

void check_quorum(const ClusterConfig& cluster, const Values& values, Problems& problems) {
    const Quorum& quorum = cluster.quorum;
    const auto refuse = [&](std::string_view key, std::string text) {
        const Value* value = values.find(key);
        problems.error(value != nullptr ? value->at : Position{cluster.file, 0}, std::move(text));
    };
    if (quorum.two_node && quorum.device)
        refuse("two_node", "two_node and a quorum device exclude each other");
    if (quorum.two_node && cluster.nodes.size() > 2)
        refuse("two_node", fmt::format("two_node in a cluster of {} nodes", cluster.nodes.size()));
    if (quorum.last_man_standing && quorum.device)
        refuse("last_man_standing", "last_man_standing and a quorum device exclude each other");
    if (quorum.auto_tie_breaker && quorum.device)
        refuse("auto_tie_breaker", "auto_tie_breaker and a quorum device exclude each other");
    if (quorum.allow_downscale && quorum.device)
        refuse("allow_downscale", "allow_downscale and a quorum device exclude each other");
    if (quorum.two_node && quorum.auto_tie_breaker)
        refuse("auto_tie_breaker", "auto_tie_breaker and two_node exclude each other");

    const bool has_odd_votes = std::any_of(cluster.nodes.begin(), cluster.nodes.end(),
                                           [](const Node& node) { return node.votes != 1; });
    if (quorum.last_man_standing && has_odd_votes)
        refuse("last_man_standing", "last_man_standing needs one vote for each node");
    if (quorum.device && has_odd_votes && values.below("device").find("votes") == nullptr)
        refuse("device", "device { votes } is needed when nodes have other votes than 1");
    if (quorum.is_votequorum && quorum.expected_votes == 0 && !cluster.nodes.empty())
        refuse("provider", "no node has a vote");
}

void check_crypto(const ClusterConfig& cluster, const Values& totem, Problems& problems) {
    const Value* key = totem.find("key");
    if (key != nullptr && (key->text.size() < 128 || key->text.size() > 4096))
        problems.error(key->at,
                       fmt::format("key: {} characters; a key has 128 to 4096", key->text.size()));
    if (cluster.crypto.cipher != Cipher::None) return;
    const Value* cause = totem.find("crypto_cipher");
    if (cause == nullptr) cause = totem.find("secauth");
    problems.warning(cause != nullptr ? cause->at : Position{cluster.file, 0},
                     "packets are neither encrypted nor authenticated: whoever reaches the network "
                     "can take part in the cluster");
}

}  // namespace

void check_rules(const ClusterConfig& cluster, const Section& document, bool is_complete,
                 Problems& problems) {
    const Values totem(document.all("totem"));
    const Values halo(document.all("halo"));
    check_nodes_exist(cluster, document, problems);
    check_ids_and_names(cluster, problems);
    if (is_complete) {
        check_addresses(cluster, problems);
        check_links(cluster, problems);
    }
    check_transport(cluster, totem, problems);
    check_times(cluster, totem, halo, problems);
    check_quorum(cluster, Values(document.all("quorum")), problems);
    check_crypto(cluster, totem, problems);
    const Value* state_dir = Values(document.all("system")).find("state_dir");
    if (state_dir != nullptr && !state_dir->text.starts_with('/'))
        problems.error(state_dir->at, "state_dir: an absolute path is needed");
}

}  // namespace config
