#include "ringd/totem/partition.hpp"

#include <algorithm>
#include <bit>

#include "common/base/invariant.hpp"

namespace totem {
namespace {

// Branches of one search for the largest clique. With few nodes they cost 100 ns each, with 512
// some 4 us.
constexpr std::size_t kBranchesMax = 20000;

std::size_t index_of(const NodeSet& nodes, base::NodeId node) {
    const auto at = std::lower_bound(nodes.begin(), nodes.end(), node);
    INVARIANT(at != nodes.end());
    INVARIANT(*at == node);
    return static_cast<std::size_t>(at - nodes.begin());
}

// A set of nodes by index, a bit each.
class Bits {
  public:
    explicit Bits(std::size_t words) : words_(words) {}

    void set(std::size_t index) { words_[index / 64] |= std::uint64_t{1} << (index % 64); }
    void clear(std::size_t index) { words_[index / 64] &= ~(std::uint64_t{1} << (index % 64)); }
    void clear_all(const Bits& others) {
        for (std::size_t i = 0; i < words_.size(); ++i)
            words_[i] &= ~others.words_[i];
    }
    [[nodiscard]] bool contains(std::size_t index) const {
        return (words_[index / 64] >> (index % 64) & 1u) != 0;
    }
    [[nodiscard]] std::size_t count() const {
        std::size_t all = 0;
        for (const std::uint64_t word : words_)
            all += static_cast<std::size_t>(std::popcount(word));
        return all;
    }
    // Needs: it is not empty.
    [[nodiscard]] std::size_t lowest() const {
        std::size_t word = 0;
        while (words_[word] == 0)
            ++word;
        return word * 64 + static_cast<std::size_t>(std::countr_zero(words_[word]));
    }
    [[nodiscard]] Bits with(std::span<const std::uint64_t> others) const {
        Bits both(*this);
        for (std::size_t i = 0; i < words_.size(); ++i)
            both.words_[i] &= others[i];
        return both;
    }
    // Is nothing in here that is not in `others`, but for `except`?
    [[nodiscard]] bool is_within(std::span<const std::uint64_t> others, std::size_t except) const {
        for (std::size_t i = 0; i < words_.size(); ++i) {
            std::uint64_t rest = words_[i] & ~others[i];
            if (i == except / 64) rest &= ~(std::uint64_t{1} << (except % 64));
            if (rest != 0) return false;
        }
        return true;
    }
    template <class Visit>
    void each(Visit visit) const {
        for (std::size_t i = 0; i < words_.size(); ++i) {
            for (std::uint64_t word = words_[i]; word != 0; word &= word - 1)
                visit(i * 64 + static_cast<std::size_t>(std::countr_zero(word)));
        }
    }

  private:
    std::vector<std::uint64_t> words_;
};

// Branch and bound over candidates in ascending order. The first clique found of a size is the one
// with the lowest ids, since lower ids are tried first.
class CliqueSearch {
  public:
    explicit CliqueSearch(const MutualGraph& graph) : graph_(graph), best_(0) {}

    Bits largest_in(const Bits& candidates, std::size_t words) {
        best_size_ = 0;
        branches_ = 0;
        extend(Bits(words), 0, candidates);
        return best_;
    }

  private:
    void extend(Bits chosen, std::size_t size, Bits candidates) {
        // Who is connected to all other candidates belongs to every maximal clique here: no choice.
        const Bits among = candidates;
        among.each([&](std::size_t node) {
            if (!among.is_within(graph_.neighbours(node), node)) return;
            chosen.set(node);
            candidates.clear(node);
            ++size;
        });
        std::size_t left = candidates.count();
        if (left == 0 && size > best_size_) {
            best_ = chosen;
            best_size_ = size;
        }
        for (; left > 0 && size + left > best_size_ && branches_ < kBranchesMax; --left) {
            ++branches_;
            const std::size_t node = candidates.lowest();
            candidates.clear(node);
            Bits with_it = chosen;
            with_it.set(node);
            extend(std::move(with_it), size + 1, candidates.with(graph_.neighbours(node)));
        }
    }

    const MutualGraph& graph_;
    Bits best_;
    std::size_t best_size_ = 0;
    std::size_t branches_ = 0;
};

}  // namespace

MutualGraph::MutualGraph(NodeSet nodes)
    : nodes_(std::move(nodes)), words_((nodes_.size() + 63) / 64), bits_(nodes_.size() * words_) {}

MutualGraph::MutualGraph(NodeSet nodes, const std::vector<const NodeSet*>& hears)
    : MutualGraph(std::move(nodes)) {
    INVARIANT(hears.size() == nodes_.size());
    std::vector<std::uint64_t> heard(bits_.size());
    for (std::size_t i = 0; i < hears.size(); ++i) {
        // Both ascend.
        auto known = nodes_.begin();
        for (const base::NodeId node : *hears[i]) {
            known = std::lower_bound(known, nodes_.end(), node);
            if (known == nodes_.end()) break;
            if (*known != node) continue;
            const auto j = static_cast<std::size_t>(known - nodes_.begin());
            heard[i * words_ + j / 64] |= std::uint64_t{1} << (j % 64);
        }
    }
    const auto hears_it = [&](std::size_t i, std::size_t j) {
        return (heard[i * words_ + j / 64] >> (j % 64) & 1u) != 0;
    };
    for (std::size_t i = 0; i < hears.size(); ++i) {
        for (std::size_t j = i + 1; j < hears.size(); ++j) {
            if (!hears_it(i, j) || !hears_it(j, i)) continue;
            bits_[i * words_ + j / 64] |= std::uint64_t{1} << (j % 64);
            bits_[j * words_ + i / 64] |= std::uint64_t{1} << (i % 64);
        }
    }
}

void MutualGraph::connect(base::NodeId a, base::NodeId b) {
    const std::size_t i = index_of(nodes_, a);
    const std::size_t j = index_of(nodes_, b);
    bits_[i * words_ + j / 64] |= std::uint64_t{1} << (j % 64);
    bits_[j * words_ + i / 64] |= std::uint64_t{1} << (i % 64);
}

NodeSet ring_of(const MutualGraph& graph, base::NodeId self) {
    const std::size_t self_index = index_of(graph.nodes(), self);
    const std::size_t words = graph.neighbours(0).size();
    Bits rest(words);
    for (std::size_t i = 0; i < graph.nodes().size(); ++i)
        rest.set(i);

    CliqueSearch search(graph);
    while (true) {
        const Bits clique = search.largest_in(rest, words);
        if (clique.contains(self_index)) {
            std::vector<base::NodeId> ring;
            clique.each([&](std::size_t index) { ring.push_back(graph.nodes()[index]); });
            return NodeSet(std::move(ring));
        }
        INVARIANT(clique.count() > 0);
        rest.clear_all(clique);
    }
}

}  // namespace totem
