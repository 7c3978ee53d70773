#include "tests/sim/network.hpp"

#include <algorithm>

namespace sim {
namespace {

// What a switch port holds before it drops.
constexpr auto kQueueMax = std::chrono::milliseconds(50);

bool applies(const Paths& paths, const Address& address) {
    return (paths.from >> address.from & 1u) != 0 && (paths.to >> address.to & 1u) != 0 &&
           (unsigned{paths.links} >> address.link & 1u) != 0;
}

bool same(const Paths& a, const Paths& b) {
    return a.from == b.from && a.to == b.to && a.links == b.links;
}

}  // namespace

Network::Network(const Plan& plan)
    : plan_(plan),
      random_(plan.seed, 3),
      paths_(plan.nodes.size() * plan.nodes.size() * plan.links) {}

Network::Path& Network::path(const Address& address) {
    return paths_[(address.from * plan_.nodes.size() + address.to) * plan_.links + address.link];
}

Network::Rules Network::rules(const Address& address) const {
    const PathRules& usual = plan_.paths;
    Rules rules{.bytes_per_second = usual.bytes_per_second};
    if (!calm_) {
        rules.loss = usual.loss;
        rules.duplicates = usual.duplicates;
        rules.reorders = usual.reorders;
    }
    for (const Degrade& degrade : degradations_) {
        if (!applies(degrade.paths, address)) continue;
        rules.loss = std::max(rules.loss, degrade.loss);
        rules.duplicates = std::max(rules.duplicates, degrade.duplicates);
        rules.reorders = std::max(rules.reorders, degrade.reorders);
        rules.delay += degrade.delay;
        const std::uint64_t limit = degrade.bytes_per_second;
        if (limit == 0) continue;
        rules.bytes_per_second =
            rules.bytes_per_second == 0 ? limit : std::min(rules.bytes_per_second, limit);
    }
    return rules;
}

base::Instant Network::draw_arrival(base::Instant sent, const Rules& rules, Path& path) {
    base::Instant arrival =
        sent + random_.between(plan_.paths.delay_min, plan_.paths.delay_max) + rules.delay;
    if (random_.chance(rules.reorders)) {
        return arrival + random_.between(base::Duration{}, 8 * plan_.paths.delay_max);
    }
    arrival = std::max(arrival, path.last_arrival);
    path.last_arrival = arrival;
    return arrival;
}

void Network::send(base::Instant now, const Address& address, std::size_t bytes,
                   std::vector<base::Instant>& arrivals) {
    Path& path = this->path(address);
    if (path.cuts > 0) return;
    const Rules rules = this->rules(address);
    if (random_.chance(rules.loss)) return;
    base::Instant sent = now;
    if (rules.bytes_per_second != 0) {
        path.busy_until = std::max(path.busy_until, now);
        if (path.busy_until - now > kQueueMax) return;
        path.busy_until += base::Duration(
            static_cast<std::int64_t>(bytes * 1'000'000'000 / rules.bytes_per_second));
        sent = path.busy_until;
    }
    arrivals.push_back(draw_arrival(sent, rules, path));
    if (random_.chance(rules.duplicates)) arrivals.push_back(draw_arrival(sent, rules, path));
}

void Network::begin(const Degrade& degrade) {
    degradations_.push_back(degrade);
}

void Network::end(const Degrade& degrade) {
    const auto at = std::ranges::find_if(degradations_, [&](const Degrade& it) {
        return same(it.paths, degrade.paths) && it.loss == degrade.loss &&
               it.delay == degrade.delay && it.duplicates == degrade.duplicates &&
               it.reorders == degrade.reorders && it.bytes_per_second == degrade.bytes_per_second;
    });
    if (at != degradations_.end()) degradations_.erase(at);
}

void Network::add(const Paths& paths, int cuts) {
    Address address;
    for (address.from = 0; address.from < plan_.nodes.size(); ++address.from) {
        for (address.to = 0; address.to < plan_.nodes.size(); ++address.to) {
            for (address.link = 0; address.link < plan_.links; ++address.link) {
                if (applies(paths, address)) path(address).cuts += cuts;
            }
        }
    }
}

void Network::add(const LinkDown& down, int cuts) {
    const NodeSet node = NodeSet{1} << down.node;
    const auto links = static_cast<LinkSet>(1u << down.link.value());
    add(Paths{.from = node, .to = ~NodeSet{}, .links = links}, cuts);
    add(Paths{.from = ~NodeSet{}, .to = node, .links = links}, cuts);
}

bool Network::is_cut(NodeIndex from, NodeIndex to) const {
    const std::size_t first = (from * plan_.nodes.size() + to) * plan_.links;
    return std::ranges::all_of(paths_.begin() + static_cast<std::ptrdiff_t>(first),
                               paths_.begin() + static_cast<std::ptrdiff_t>(first + plan_.links),
                               [](const Path& path) { return path.cuts > 0; });
}

}  // namespace sim
