// Into which rings the nodes fall: the one rule that all compute alike from who hears whom.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ringd/totem/node_set.hpp"

namespace totem {

// Who hears whom, both ways. Symmetric; without itself.
class MutualGraph {
  public:
    explicit MutualGraph(NodeSet nodes);
    // Whom each of the nodes hears, in their order: who hear each other are connected.
    MutualGraph(NodeSet nodes, const std::vector<const NodeSet*>& hears);

    void connect(base::NodeId a, base::NodeId b);
    [[nodiscard]] const NodeSet& nodes() const { return nodes_; }
    [[nodiscard]] bool connected(std::size_t a, std::size_t b) const {
        return (bits_[a * words_ + b / 64] >> (b % 64) & 1u) != 0;
    }

    // The neighbours of a node by index, a bit each.
    [[nodiscard]] std::span<const std::uint64_t> neighbours(std::size_t a) const {
        return {bits_.data() + a * words_, words_};
    }

  private:
    NodeSet nodes_;
    std::size_t words_;
    std::vector<std::uint64_t> bits_;  // A row of words_ a node.
};

// The fully connected set that `self` belongs to when the largest ones are taken out of the graph
// first; of equal ones that with the lowest ids. Exact as long as the search stays within its
// bound (which graphs of up to about 30 irregular nodes do, and any graph near to full), else the
// best that the bounded search found: the same at all who have the same graph. Needs: self is in
// the graph.
[[nodiscard]] NodeSet ring_of(const MutualGraph& graph, base::NodeId self);

}  // namespace totem
