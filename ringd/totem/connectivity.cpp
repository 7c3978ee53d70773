#include "ringd/totem/connectivity.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace totem {
namespace {

// Of fewer all rows are told, at little cost.
constexpr std::size_t kNodesToRelayAll = 16;

}  // namespace

Connectivity::Connectivity(base::NodeId self, const Incarnation& incarnation)
    : own_{.node = self, .incarnation = incarnation, .version = 1, .hears = {self}} {}

void Connectivity::set_configured(const NodeSet& nodes) {
    configured_ = nodes;
    std::erase_if(rows_, [&](const auto& entry) { return !configured_.contains(entry.first); });
}

bool Connectivity::set_heard(base::NodeId node, bool heard) {
    INVARIANT(node != own_.node);
    const bool changed = heard ? own_.hears.insert(node) : own_.hears.erase(node);
    if (changed) ++own_.version;
    return changed;
}

bool Connectivity::learn(const Row& row, Source source) {
    if (row.node == own_.node || !configured_.contains(row.node)) return false;
    const auto over = over_.find(row.node);
    if (over != over_.end() && row.incarnation <= over->second) {
        if (source == Source::Relayed) return false;
        over_.erase(over);
    }

    const auto known = rows_.find(row.node);
    if (known == rows_.end()) {
        rows_.emplace(row.node, row);
        return true;
    }
    const Row& before = known->second;
    const bool same_run = before.incarnation == row.incarnation;
    if (same_run && row.version <= before.version) return false;
    if (!same_run) {
        if (source == Source::Relayed && row.incarnation < before.incarnation) return false;
        if (before.incarnation < row.incarnation) over_[row.node] = before.incarnation;
    }
    known->second = row;
    return true;
}

void Connectivity::forget(base::NodeId node) {
    const auto known = rows_.find(node);
    if (known == rows_.end()) return;
    over_[node] = known->second.incarnation;
    rows_.erase(known);
}

void Connectivity::agreed(const NodeSet& members) {
    for (auto& [node, row] : rows_) {
        if (!members.contains(node)) continue;
        for (const base::NodeId member : members)
            row.hears.insert(member);
    }
}

const Row* Connectivity::row_of(base::NodeId node) const {
    if (node == own_.node) return &own_;
    const auto known = rows_.find(node);
    return known == rows_.end() ? nullptr : &known->second;
}

std::vector<Row> Connectivity::rows_to_relay() const {
    const bool are_many = configured_.size() >= kNodesToRelayAll;
    NodeSet heard_by_all = own_.hears;
    for (const auto& [node, row] : rows_) {
        if (own_.hears.contains(node)) heard_by_all = heard_by_all.in_both(row.hears);
    }
    std::vector<Row> rows{own_};
    for (const auto& [node, row] : rows_) {
        const bool reaches_all = heard_by_all.contains(node) && row.hears.includes(own_.hears);
        if (!are_many || !reaches_all) rows.push_back(row);
    }
    return rows;
}

bool Connectivity::hear_each_other(const NodeSet& nodes) const {
    return std::ranges::all_of(nodes, [&](base::NodeId node) {
        const Row* row = row_of(node);
        return row != nullptr && row->hears.includes(nodes);
    });
}

NodeSet Connectivity::proposal() const {
    std::vector<base::NodeId> nodes;
    std::vector<const NodeSet*> hears;
    const auto add = [&](const Row& row) {
        nodes.push_back(row.node);
        hears.push_back(&row.hears);
    };
    auto next = rows_.begin();
    for (; next != rows_.end() && next->first < own_.node; ++next)
        add(next->second);
    add(own_);
    for (; next != rows_.end(); ++next)
        add(next->second);
    return ring_of(MutualGraph(NodeSet(std::move(nodes)), hears), own_.node);
}

}  // namespace totem
