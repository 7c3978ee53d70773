#include "common/config/local_node.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace config {
namespace {

std::string without_domain(const std::string& name) {
    return name.substr(0, name.find('.'));
}

template <class Predicate>
std::vector<const Node*> nodes_where(const ClusterConfig& cluster, Predicate predicate) {
    std::vector<const Node*> found;
    for (const Node& node : cluster.nodes) {
        if (predicate(node)) found.push_back(&node);
    }
    return found;
}

bool has_host_address(const Node& node, const Host& host) {
    return std::any_of(node.links.begin(), node.links.end(),
                       [&](const auto& address) { return address && host.has(address->resolved); });
}

bool has_host_name(const Node& node, const Host& host) {
    return std::any_of(node.links.begin(), node.links.end(), [&](const auto& address) {
        return address &&
               (address->text == host.name || address->text == without_domain(host.name));
    });
}

std::vector<const Node*> candidates(const ClusterConfig& cluster, const Host& host) {
    auto found = nodes_where(cluster, [&](const Node& node) { return node.name == host.name; });
    if (!found.empty()) return found;
    found = nodes_where(cluster,
                        [&](const Node& node) { return node.name == without_domain(host.name); });
    if (!found.empty()) return found;
    return nodes_where(cluster, [&](const Node& node) {
        return has_host_name(node, host) || has_host_address(node, host);
    });
}

std::string addresses_text(const Host& host) {
    std::string text;
    for (const IpAddress& address : host.addresses) {
        if (address.text() == "127.0.0.1" || address.text() == "::1") continue;
        text += (text.empty() ? "" : ", ") + address.text();
    }
    return text.empty() ? "none but loopback" : text;
}

void check_own_addresses(const Node& node, const Host& host, Problems& problems) {
    const bool has_one = has_host_address(node, host);
    for (const auto& address : node.links) {
        if (!address || host.has(address->resolved)) continue;
        const std::string text = fmt::format("own address {} is not on this host, which has {}",
                                             address->text, addresses_text(host));
        // One link without its address is a broken link; without any there is no node.
        if (has_one) {
            problems.warning(address->at, text);
        } else {
            problems.error(address->at, text);
        }
    }
}

}  // namespace

std::optional<base::NodeId> find_local_node(const ClusterConfig& cluster, const Host& host,
                                            std::optional<base::NodeId> wanted,
                                            Problems& problems) {
    if (cluster.nodes.empty()) return std::nullopt;  // Told already.
    const Position whole{cluster.file, 0};
    const Node* local = nullptr;
    if (wanted) {
        local = cluster.node(*wanted);
        if (local == nullptr) {
            problems.error(whole,
                           fmt::format("this host shall be node {}, which is not in nodelist {{}}",
                                       wanted->value()));
            return std::nullopt;
        }
    } else {
        const auto found = candidates(cluster, host);
        if (found.empty()) {
            problems.error(whole,
                           fmt::format("own address missing: no node of nodelist {{}} has the name "
                                       "'{}' or an address of this host ({})",
                                       host.name, addresses_text(host)));
            return std::nullopt;
        }
        if (found.size() > 1) {
            problems.error(found[1]->at,
                           fmt::format("this host could be node {} or node {}; give each a name, "
                                       "or totem.nodeid",
                                       found[0]->id.value(), found[1]->id.value()));
            return std::nullopt;
        }
        local = found.front();
    }
    check_own_addresses(*local, host, problems);
    return local->id;
}

}  // namespace config
