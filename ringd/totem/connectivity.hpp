// What this node knows of who hears whom: one row a node, its own among them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "ringd/totem/partition.hpp"
#include "ringd/totem/row.hpp"

namespace totem {

class Connectivity {
  public:
    Connectivity(base::NodeId self, const Incarnation& incarnation);

    // Rows of others are believed about these nodes only (and self).
    void set_configured(const NodeSet& nodes);
    [[nodiscard]] bool is_configured(base::NodeId node) const { return configured_.contains(node); }

    [[nodiscard]] const Row& own() const { return own_; }
    // Gives whether the row changed; then it has a new version.
    bool set_heard(base::NodeId node, bool heard);

    enum class Source : std::uint8_t { Itself, Relayed };
    // Gives whether something was learnt. Of a node's runs hearsay counts about the latest only.
    // What the node says itself always counts: that it comes from a run that is over was ruled out
    // by the failure detector.
    bool learn(const Row& row, Source source);

    // The node's process is gone: rows of this incarnation that still travel are not believed.
    void forget(base::NodeId node);

    // Each of them has agreed to a ring of them all, which only who hears all does: what it says of
    // that itself may still be on its way.
    void agreed(const NodeSet& members);

    [[nodiscard]] const Row* row_of(base::NodeId node) const;

    // This node's row first, then those that somebody may not get from their nodes themselves,
    // ascending: not of who exchanges packets with everybody whom we hear.
    [[nodiscard]] std::vector<Row> rows_to_relay() const;

    // Does each of them hear all the others, by what is known?
    [[nodiscard]] bool hear_each_other(const NodeSet& nodes) const;

    // The ring that this node belongs to, by ring_of over what is known.
    [[nodiscard]] NodeSet proposal() const;

    template <class A>
    void archive(A& a) {
        a(own_, configured_, rows_, over_);
    }

  private:
    Row own_;
    NodeSet configured_;
    std::map<base::NodeId, Row> rows_;
    std::map<base::NodeId, Incarnation> over_;  // The run that ended last.
};

}  // namespace totem
