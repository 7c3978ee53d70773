#include "ringd/totem/connectivity.hpp"

#include "common/base/invariant.hpp"

namespace totem {

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

const Row* Connectivity::row_of(base::NodeId node) const {
    if (node == own_.node) return &own_;
    const auto known = rows_.find(node);
    return known == rows_.end() ? nullptr : &known->second;
}

std::vector<Row> Connectivity::all_rows() const {
    std::vector<Row> rows{own_};
    for (const auto& [node, row] : rows_)
        rows.push_back(row);
    return rows;
}

NodeSet Connectivity::proposal() const {
    NodeSet nodes{own_.node};
    for (const auto& [node, row] : rows_)
        nodes.insert(node);
    MutualGraph graph(nodes);
    for (auto a = nodes.begin(); a != nodes.end(); ++a) {
        for (auto b = a + 1; b != nodes.end(); ++b) {
            if (mutual(*a, *b)) graph.connect(*a, *b);
        }
    }
    return ring_of(graph, own_.node);
}

bool Connectivity::mutual(base::NodeId a, base::NodeId b) const {
    const Row* row_a = row_of(a);
    const Row* row_b = row_of(b);
    return row_a != nullptr && row_b != nullptr && row_a->hears.contains(b) &&
           row_b->hears.contains(a);
}

}  // namespace totem
