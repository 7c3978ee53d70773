// Bounded agreement (totem C7, P2): while nothing changes, each running process installs within the
// bound a configuration of nodes that all hear one another, as large as can be, and stays in it.
// And nobody waits for a message for ever (P3).
#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include "tests/sim/checkers/checkers.hpp"

namespace sim {
namespace {

using Current = std::map<base::NodeId, const Stay*>;

// Nodes of a phase as bits, with who hears whom in both directions.
class Graph {
  public:
    explicit Graph(const PhaseBegan& phase) : nodes_(phase.running) {
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            hears_.push_back((1u << nodes_.size()) - 1);
        for (const auto& [from, to] : phase.cut) {
            const std::size_t a = index(from);
            const std::size_t b = index(to);
            if (a == nodes_.size() || b == nodes_.size()) continue;
            hears_[a] &= ~(1u << b);
            hears_[b] &= ~(1u << a);
        }
    }

    [[nodiscard]] bool is_clique(std::uint32_t set) const {
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            if ((set >> i & 1u) != 0 && (set & ~hears_[i]) != 0) return false;
        }
        return true;
    }
    [[nodiscard]] int largest_clique() const { return largest_in((1u << nodes_.size()) - 1); }
    [[nodiscard]] std::uint32_t set_of(const std::vector<base::NodeId>& members) const {
        std::uint32_t set = 0;
        for (const base::NodeId member : members) {
            const std::size_t i = index(member);
            if (i < nodes_.size()) set |= 1u << i;
        }
        return set;
    }

  private:
    // With and without whoever misses most of the others, until nobody misses anybody.
    [[nodiscard]] int largest_in(std::uint32_t set) const {
        std::uint32_t misses_most = 0;
        std::uint32_t it_hears = 0;
        int most = 0;
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            const int missed = std::popcount(set & ~hears_[i]);
            if ((set >> i & 1u) == 0 || missed <= most) continue;
            most = missed;
            misses_most = 1u << i;
            it_hears = hears_[i];
        }
        if (most == 0) return std::popcount(set);
        const std::uint32_t others = set & ~misses_most;
        return std::max(largest_in(others), 1 + largest_in(others & it_hears));
    }

    [[nodiscard]] std::size_t index(base::NodeId node) const {
        return static_cast<std::size_t>(std::ranges::find(nodes_, node) - nodes_.begin());
    }

    std::vector<base::NodeId> nodes_;
    std::vector<std::uint32_t> hears_;  // By node: those it exchanges packets with, itself too.
};

class Liveness {
  public:
    Liveness(const History& history, Report& report) : history_(history), report_(report) {}

    void check() {
        const Trace& trace = *history_.trace;
        for (std::size_t entry = 0; entry < trace.size(); ++entry) {
            if (const auto* phase = std::get_if<PhaseBegan>(&trace[entry].what)) {
                phase_ = phase;
                began_ = trace[entry].at;
            } else if (std::holds_alternative<PhaseEnded>(trace[entry].what)) {
                check_phase(entry);
                phase_ = nullptr;
            } else if (phase_ != nullptr && std::holds_alternative<Installed>(trace[entry].what)) {
                if (trace[entry].at > began_ + phase_->bound) {
                    report_.add("C7", entry, "configurations still change after the bound");
                }
            }
        }
        check_all_the_same();
    }

  private:
    // Where each node stands when the trace reaches `entry`.
    [[nodiscard]] Current current_at(std::size_t entry) const {
        Current current;
        for (const Life& life : history_.lives) {
            if (life.started > entry || (life.ended && *life.ended < entry)) continue;
            for (const Stay& stay : life.stays) {
                if (stay.entry < entry) current[life.who.node] = &stay;
            }
        }
        return current;
    }

    void check_phase(std::size_t entry) {
        if (phase_ == nullptr) return;
        const Current current = current_at(entry);
        const Graph graph(*phase_);
        std::set<std::vector<base::NodeId>> groups;
        for (const base::NodeId node : phase_->running) {
            const auto at = current.find(node);
            if (at == current.end()) {
                report_.add("C7", entry, name(node) + " has no configuration");
                continue;
            }
            groups.insert(at->second->members);
            check_together(*at->second, current, entry);
        }
        check_groups(groups, graph, entry);
    }

    void check_together(const Stay& stay, const Current& current, std::size_t entry) {
        if (stay.transition && stay.transition->entry < entry) {
            report_.add("C7", entry, "still between two configurations");
        }
        for (const base::NodeId member : stay.members) {
            const auto at = current.find(member);
            if (at != current.end() && at->second->ring == stay.ring) continue;
            report_.add("C7", entry,
                        "member " + name(member) + " of " + to_text(stay.ring) + " is not in it");
        }
    }

    void check_groups(const std::set<std::vector<base::NodeId>>& groups, const Graph& graph,
                      std::size_t entry) {
        int largest = 0;
        for (const auto& members : groups) {
            const std::uint32_t set = graph.set_of(members);
            largest = std::max(largest, std::popcount(set));
            if (!graph.is_clique(set)) {
                report_.add("P2", entry, to_text(members) + " do not all hear one another");
            }
            for (const auto& others : groups) {
                if (others <= members || !graph.is_clique(set | graph.set_of(others))) continue;
                report_.add("P2", entry,
                            to_text(members) + " and " + to_text(others) + " do not merge");
            }
        }
        if (largest < graph.largest_clique()) {
            report_.add("P2", entry,
                        "the largest ring has " + std::to_string(largest) + " members, " +
                            std::to_string(graph.largest_clique()) + " hear one another");
        }
    }

    // At the end all is quiet: who shares a ring has delivered the same.
    void check_all_the_same() {
        std::map<base::RingId, const Stay*> first;
        for (const Life& life : history_.lives) {
            if (life.ended || life.stays.empty()) continue;
            const Stay& stay = life.stays.back();
            const auto [at, is_first] = first.emplace(stay.ring, &stay);
            const bool same = std::ranges::equal(at->second->in_regular, stay.in_regular, {},
                                                 &Delivery::position, &Delivery::position);
            if (is_first || same) continue;
            report_.add("P3", history_.trace->size() - 1,
                        "members of " + to_text(stay.ring) + " have not delivered the same");
        }
    }

    static std::string name(base::NodeId node) { return "n" + std::to_string(node.value()); }

    const History& history_;
    Report& report_;
    const PhaseBegan* phase_ = nullptr;
    base::Instant began_{};
};

}  // namespace

void check_liveness(const History& history, Report& report) {
    Liveness(history, report).check();
}

}  // namespace sim
