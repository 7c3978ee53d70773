// A set of nodes, ascending: members of a ring, candidates, whom a node hears.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <vector>

#include "common/base/ids.hpp"

namespace totem {

// Bounds what a join message or commit token can make us allocate.
inline constexpr std::size_t kNodesMax = 512;

class NodeSet {
  public:
    NodeSet() = default;
    NodeSet(std::initializer_list<base::NodeId> nodes) {
        for (const base::NodeId node : nodes)
            insert(node);
    }

    // Needs: they ascend.
    explicit NodeSet(std::vector<base::NodeId> ascending) : nodes_(std::move(ascending)) {}

    // Gives whether the node is new.
    bool insert(base::NodeId node) {
        const auto at = std::lower_bound(nodes_.begin(), nodes_.end(), node);
        if (at != nodes_.end() && *at == node) return false;
        nodes_.insert(at, node);
        return true;
    }
    bool erase(base::NodeId node) {
        const auto at = std::lower_bound(nodes_.begin(), nodes_.end(), node);
        if (at == nodes_.end() || *at != node) return false;
        nodes_.erase(at);
        return true;
    }

    [[nodiscard]] bool contains(base::NodeId node) const {
        return std::binary_search(nodes_.begin(), nodes_.end(), node);
    }
    [[nodiscard]] bool includes(const NodeSet& other) const {
        return std::includes(nodes_.begin(), nodes_.end(), other.nodes_.begin(),
                             other.nodes_.end());
    }
    [[nodiscard]] NodeSet in_both(const NodeSet& other) const {
        NodeSet both;
        std::set_intersection(nodes_.begin(), nodes_.end(), other.nodes_.begin(),
                              other.nodes_.end(), std::back_inserter(both.nodes_));
        return both;
    }
    [[nodiscard]] std::size_t size() const { return nodes_.size(); }
    [[nodiscard]] bool empty() const { return nodes_.empty(); }
    [[nodiscard]] auto begin() const { return nodes_.begin(); }
    [[nodiscard]] auto end() const { return nodes_.end(); }
    [[nodiscard]] base::NodeId operator[](std::size_t index) const { return nodes_[index]; }
    [[nodiscard]] const std::vector<base::NodeId>& nodes() const { return nodes_; }

    // The lowest: the representative. Needs: not empty.
    [[nodiscard]] base::NodeId front() const { return nodes_.front(); }

    // Who comes after `node`, and after the last the first. Needs: contains(node).
    [[nodiscard]] base::NodeId after(base::NodeId node) const {
        const auto at = std::upper_bound(nodes_.begin(), nodes_.end(), node);
        return at == nodes_.end() ? nodes_.front() : *at;
    }
    [[nodiscard]] NodeSet without(base::NodeId node) const {
        NodeSet rest(*this);
        rest.erase(node);
        return rest;
    }

    template <class A>
    void archive(A& a) {
        a(nodes_);
    }

    friend bool operator==(const NodeSet&, const NodeSet&) = default;
    friend auto operator<=>(const NodeSet&, const NodeSet&) = default;

  private:
    std::vector<base::NodeId> nodes_;
};

}  // namespace totem
