// Configuration changes (totem C1 to C6), and ring ids that are durable before they count (R1).
#include <algorithm>
#include <map>
#include <string>

#include "tests/sim/checkers/checkers.hpp"

namespace sim {
namespace {

using Members = std::vector<base::NodeId>;

bool is_subset(const Members& part, const Members& whole) {
    return std::ranges::includes(whole, part);
}

class Configurations {
  public:
    Configurations(const History& history, Report& report) : history_(history), report_(report) {}

    void check() {
        for (const Life& life : history_.lives) {
            for (const Stay& stay : life.stays) {
                check_members(life, stay);
                check_transition(life, stay);
                if (stay.transition && stay.next) check_moved_together(life, stay);
            }
            check_ring_ids(life);
        }
        check_stored();
    }

  private:
    void check_members(const Life& life, const Stay& stay) {
        if (!std::ranges::binary_search(stay.members, life.who.node)) {
            report_.add("C1", stay.entry, "not a member of the own configuration");
        }
        if (!std::ranges::is_sorted(stay.members)) {
            report_.add("C2", stay.entry, "members do not ascend");
        }
        const auto [known, is_new] = regular_.emplace(stay.ring, stay.members);
        if (!is_new && known->second != stay.members) {
            report_.add("C2", stay.entry, "another process has other members in this ring");
        }
    }

    void check_transition(const Life& life, const Stay& stay) {
        if (!stay.transition) return;
        const Transition& it = *stay.transition;
        if (!std::ranges::binary_search(it.members, life.who.node)) {
            report_.add("C1", it.entry, "not a member of the own transitional configuration");
        }
        if (!is_subset(it.members, stay.members)) {
            report_.add("C3", it.entry, "a transitional member was not in the ring before");
        }
        const Stay* after = stay.next ? life.stay_in(*stay.next) : nullptr;
        if (after != nullptr && !is_subset(it.members, after->members)) {
            report_.add("C3", it.entry, "a transitional member is not in the ring after");
        }
        const auto [known, is_new] =
            transitional_.emplace(std::pair(stay.ring, it.next), it.members);
        if (!is_new && known->second != it.members) {
            report_.add("C2", it.entry, "another process has other members in this transition");
        }
    }

    // C4. A transitional member that never installs the next ring is not held against anybody here:
    // either it crashed, or those that did install it leave it again, which C7 demands.
    void check_moved_together(const Life& life, const Stay& stay) {
        for (const Life& other : history_.lives) {
            const Stay* there = other.stay_in(*stay.next);
            if (there == nullptr || &other == &life) continue;
            const bool came_along = there->previous == stay.ring;
            const bool is_named =
                std::ranges::binary_search(stay.transition->members, other.who.node);
            if (came_along && !is_named) {
                report_.add("C4", stay.transition->entry,
                            to_text(other.who) + " came along and is not a transitional member");
            }
            if (is_named && !came_along) {
                report_.add("C4", stay.transition->entry,
                            to_text(other.who) + " is a transitional member and came from " +
                                to_text(there->previous));
            }
        }
    }

    void check_ring_ids(const Life& life) {
        std::uint64_t highest = life.durable.seq;
        for (const Stay& stay : life.stays) {
            if (stay.ring.seq <= highest) {
                report_.add("C5", stay.entry, "ring seq does not grow at this process");
            }
            highest = std::max(highest, stay.ring.seq);
            const auto [user, is_new] =
                users_.emplace(std::pair(stay.ring, life.who.node), life.who);
            if (!is_new && user->second != life.who) {
                report_.add("C5", stay.entry, "ring id used in an earlier life");
            }
        }
    }

    // R1: nothing is delivered in a ring before all its members have its id, or a higher one, on
    // disk.
    void check_stored() {
        for (const Life& life : history_.lives) {
            for (const Stay& stay : life.stays) {
                const std::size_t first =
                    stay.in_regular.empty() ? stay.entry : stay.in_regular.front().entry;
                for (const base::NodeId member : stay.members) {
                    if (stay.in_regular.empty() && member != life.who.node) continue;
                    const Life* there = history_.participant(member, stay.ring);
                    if (there != nullptr && there->has_stored(stay.ring, first)) continue;
                    report_.add("R1", first,
                                "n" + std::to_string(member.value()) + " has not stored " +
                                    to_text(stay.ring));
                }
            }
        }
    }

    const History& history_;
    Report& report_;
    std::map<base::RingId, Members> regular_;
    std::map<std::pair<base::RingId, base::RingId>, Members> transitional_;
    std::map<std::pair<base::RingId, base::NodeId>, Process> users_;
};

}  // namespace

void check_configurations(const History& history, Report& report) {
    Configurations(history, report).check();
}

}  // namespace sim
