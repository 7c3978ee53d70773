#include "ringd/totem/partition.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace totem {
namespace {

// Branches of one search for the largest clique. At 100 ns each the whole takes 2 ms.
constexpr std::size_t kBranchesMax = 20000;

using Indices = std::vector<std::size_t>;

std::size_t index_of(const NodeSet& nodes, base::NodeId node) {
    const auto at = std::lower_bound(nodes.begin(), nodes.end(), node);
    INVARIANT(at != nodes.end());
    INVARIANT(*at == node);
    return static_cast<std::size_t>(at - nodes.begin());
}

// Branch and bound over candidates in ascending order. The first clique found of a size is the one
// with the lowest ids, since lower ids are tried first.
class CliqueSearch {
  public:
    explicit CliqueSearch(const MutualGraph& graph) : graph_(graph) {}

    Indices largest_in(const Indices& candidates) {
        best_.clear();
        branches_ = 0;
        Indices chosen;
        extend(chosen, candidates);
        return best_;
    }

  private:
    void extend(Indices& chosen, Indices candidates) {
        // Who is connected to all other candidates belongs to every maximal clique here: no choice.
        const std::size_t before = chosen.size();
        take_universal(chosen, candidates);
        if (candidates.empty()) {
            if (chosen.size() > best_.size()) {
                best_ = chosen;
                std::ranges::sort(best_);
            }
        }
        while (!candidates.empty() && chosen.size() + candidates.size() > best_.size() &&
               branches_ < kBranchesMax) {
            ++branches_;
            const std::size_t node = candidates.front();
            candidates.erase(candidates.begin());
            chosen.push_back(node);
            extend(chosen, neighbours(node, candidates));
            chosen.pop_back();
        }
        chosen.resize(before);
    }

    void take_universal(Indices& chosen, Indices& candidates) {
        Indices rest;
        for (const std::size_t node : candidates) {
            const bool universal = std::ranges::all_of(candidates, [&](std::size_t other) {
                return other == node || graph_.connected(node, other);
            });
            (universal ? chosen : rest).push_back(node);
        }
        candidates = std::move(rest);
    }

    [[nodiscard]] Indices neighbours(std::size_t node, const Indices& candidates) const {
        Indices near;
        for (const std::size_t other : candidates) {
            if (graph_.connected(node, other)) near.push_back(other);
        }
        return near;
    }

    const MutualGraph& graph_;
    Indices best_;
    std::size_t branches_ = 0;
};

}  // namespace

MutualGraph::MutualGraph(NodeSet nodes)
    : nodes_(std::move(nodes)), words_((nodes_.size() + 63) / 64), bits_(nodes_.size() * words_) {}

void MutualGraph::connect(base::NodeId a, base::NodeId b) {
    const std::size_t i = index_of(nodes_, a);
    const std::size_t j = index_of(nodes_, b);
    bits_[i * words_ + j / 64] |= std::uint64_t{1} << (j % 64);
    bits_[j * words_ + i / 64] |= std::uint64_t{1} << (i % 64);
}

NodeSet ring_of(const MutualGraph& graph, base::NodeId self) {
    const std::size_t self_index = index_of(graph.nodes(), self);
    Indices rest(graph.nodes().size());
    for (std::size_t i = 0; i < rest.size(); ++i)
        rest[i] = i;

    CliqueSearch search(graph);
    while (true) {
        const Indices clique = search.largest_in(rest);
        INVARIANT(!clique.empty());
        if (std::ranges::binary_search(clique, self_index)) {
            NodeSet ring;
            for (const std::size_t i : clique)
                ring.insert(graph.nodes()[i]);
            return ring;
        }
        std::erase_if(rest, [&](std::size_t i) { return std::ranges::binary_search(clique, i); });
    }
}

}  // namespace totem
