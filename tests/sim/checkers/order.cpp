// The total order (totem B3, D3), no gaps in a regular configuration (D4), and in a transitional
// one only such as nobody there can fill (D5).
#include <algorithm>
#include <map>
#include <optional>

#include "tests/sim/checkers/checkers.hpp"

namespace sim {
namespace {

struct Place {
    base::RingId ring{};
    Position position;

    friend auto operator<=>(const Place&, const Place&) = default;
};

// All that anybody delivered in one ring, ascending by position.
using Ledger = std::vector<Delivery>;

class Order {
  public:
    Order(const History& history, Report& report) : history_(history), report_(report) {}

    void check() {
        for (const Life& life : history_.lives) {
            for (const Stay& stay : life.stays) {
                Ledger& ledger = ledgers_[stay.ring];
                collect(stay, stay.in_regular, ledger);
                collect(stay, stay.in_transitional, ledger);
                check_ascends(stay);
            }
        }
        for (auto& [ring, ledger] : ledgers_)
            settle(ring, ledger);
        check_one_place();
        for (const Life& life : history_.lives) {
            for (const Stay& stay : life.stays) {
                check_prefix(stay);
                if (stay.transition) check_skips(stay);
            }
        }
    }

  private:
    static void collect(const Stay&, const std::vector<Delivery>& from, Ledger& ledger) {
        ledger.insert(ledger.end(), from.begin(), from.end());
    }

    void check_ascends(const Stay& stay) {
        std::optional<Position> last;
        for (const auto* deliveries : {&stay.in_regular, &stay.in_transitional}) {
            for (const Delivery& delivery : *deliveries) {
                if (last && delivery.position <= *last) {
                    report_.add("D3", delivery.entry, "delivery goes back in the order");
                }
                last = delivery.position;
            }
        }
    }

    // Sorts, and leaves one of each position. Two messages in one place break D3.
    void settle(base::RingId ring, Ledger& ledger) {
        std::ranges::sort(ledger, [](const Delivery& a, const Delivery& b) {
            return std::tie(a.position, a.entry) < std::tie(b.position, b.entry);
        });
        Ledger settled;
        settled.reserve(ledger.size());
        for (const Delivery& delivery : ledger) {
            if (settled.empty() || settled.back().position != delivery.position) {
                settled.push_back(delivery);
                places_.push_back({delivery.message, {ring, delivery.position}, delivery.entry});
            } else if (settled.back().message != delivery.message ||
                       settled.back().safe != delivery.safe) {
                report_.add("D3", delivery.entry,
                            "another process delivers " + to_text(settled.back().message) +
                                " in this place");
            }
        }
        ledger = std::move(settled);
    }

    void check_one_place() {
        std::ranges::sort(places_, [](const Placed& a, const Placed& b) {
            return std::tie(a.message, a.place) < std::tie(b.message, b.place);
        });
        for (std::size_t i = 1; i < places_.size(); ++i) {
            if (places_[i].message != places_[i - 1].message) continue;
            report_.add("B3", std::max(places_[i].entry, places_[i - 1].entry),
                        to_text(places_[i].message) + " has two places in the order");
        }
    }

    void check_prefix(const Stay& stay) {
        const Ledger& ledger = ledgers_.at(stay.ring);
        for (std::size_t i = 0; i < stay.in_regular.size(); ++i) {
            if (i < ledger.size() && ledger[i].position == stay.in_regular[i].position) continue;
            report_.add("D4", stay.in_regular[i].entry,
                        "delivery after a gap, which begins at #" + gap_text(ledger, i));
            return;
        }
    }

    static std::string gap_text(const Ledger& ledger, std::size_t i) {
        if (i >= ledger.size()) return "the end";
        return std::to_string(ledger[i].position.seq.value()) + " " + to_text(ledger[i].message);
    }

    void check_skips(const Stay& stay) {
        if (stay.in_transitional.empty()) return;
        const Position last = stay.in_transitional.back().position;
        for (const Delivery& missed : ledgers_.at(stay.ring)) {
            if (missed.position >= last) return;
            if (stay.delivered(missed.position)) continue;
            check_skip(stay, missed);
        }
    }

    void check_skip(const Stay& stay, const Delivery& missed) {
        const auto& members = stay.transition->members;
        if (std::ranges::binary_search(members, missed.sender)) {
            report_.add("D5", stay.in_transitional.back().entry,
                        "skips " + to_text(missed.message) + " whose sender comes along");
        }
        for (const base::NodeId member : members) {
            const Life* life = history_.participant(member, stay.ring);
            const Stay* there = life == nullptr ? nullptr : life->stay_in(stay.ring);
            if (there == nullptr || !had(*there, stay, missed.position)) continue;
            report_.add("D5", stay.in_transitional.back().entry,
                        "skips " + to_text(missed.message) + " which " + to_text(life->who) +
                            " has and comes along");
        }
    }

    // Whether it had the message when `stay` ended. One that got stuck on the way may come by it
    // later, in another transition, with somebody who was away.
    [[nodiscard]] static bool had(const Stay& there, const Stay& stay, Position position) {
        if (there.next == stay.next) return there.delivered(position);
        const auto at =
            std::ranges::lower_bound(there.in_regular, position, {}, &Delivery::position);
        return at != there.in_regular.end() && at->position == position &&
               at->entry < stay.transition->entry;
    }

    struct Placed {
        MessageId message;
        Place place;
        std::size_t entry = 0;
    };

    const History& history_;
    Report& report_;
    std::map<base::RingId, Ledger> ledgers_;
    std::vector<Placed> places_;
};

}  // namespace

void check_order(const History& history, Report& report) {
    Order(history, report).check();
}

}  // namespace sim
