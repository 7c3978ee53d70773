// Safe delivery (totem D7): what one member delivers as safe, all members deliver or crash.
#include <algorithm>
#include <map>
#include <set>

#include "tests/sim/checkers/checkers.hpp"

namespace sim {
namespace {

// Safe messages that somebody delivered in one configuration, with one of the deliveries.
struct Promised {
    const std::vector<base::NodeId>* members = nullptr;
    std::map<Position, const Delivery*> messages;
};

class Safe {
  public:
    Safe(const History& history, Report& report) : history_(history), report_(report) {}

    void check() {
        for (const Life& life : history_.lives) {
            for (const Stay& stay : life.stays) {
                collect(regular_[stay.ring], stay.members, stay.in_regular);
                if (!stay.transition) continue;
                collect(transitional_[{stay.ring, stay.transition->next}], stay.transition->members,
                        stay.in_transitional);
            }
        }
        for (const auto& [ring, promised] : regular_)
            check(ring, promised);
        for (const auto& [rings, promised] : transitional_)
            check(rings.first, promised);
    }

  private:
    static void collect(Promised& promised, const std::vector<base::NodeId>& members,
                        const std::vector<Delivery>& deliveries) {
        promised.members = &members;
        for (const Delivery& delivery : deliveries) {
            if (delivery.safe) promised.messages.emplace(delivery.position, &delivery);
        }
    }

    void check(base::RingId ring, const Promised& promised) {
        if (promised.messages.empty()) return;
        for (const base::NodeId member : *promised.members) {
            const Life* life = history_.participant(member, ring);
            if (life == nullptr) continue;  // R1 says so.
            check(ring, promised, *life);
        }
    }

    void check(base::RingId ring, const Promised& promised, const Life& life) {
        const Stay* stay = life.stay_in(ring);
        if (stay == nullptr) {
            // It went on to another ring, or stopped, on the way into this one.
            if (life.ended) return;
            report_.add("D7", promised.messages.begin()->second->entry,
                        "safe, and member " + to_text(life.who) + " never installed the ring");
            return;
        }
        if (!stay->next) return;  // It ended here, or the trace did, which P3 judges.
        for (const auto& [position, delivery] : promised.messages) {
            if (stay->delivered(position)) continue;
            report_.add("D7", delivery->entry,
                        "safe, and " + to_text(life.who) + " leaves the ring without " +
                            to_text(delivery->message));
        }
    }

    const History& history_;
    Report& report_;
    std::map<base::RingId, Promised> regular_;
    std::map<std::pair<base::RingId, base::RingId>, Promised> transitional_;
};

}  // namespace

void check_safe(const History& history, Report& report) {
    Safe(history, report).check();
}

}  // namespace sim
