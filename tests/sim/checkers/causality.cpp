// Causality (totem D6): a message comes after all that its sender had sent or delivered before,
// except that an urgent one may overtake earlier ones of the same sender that are not.
#include <algorithm>
#include <map>

#include "tests/sim/checkers/checkers.hpp"

namespace sim {
namespace {

class Causality {
  public:
    Causality(const History& history, Report& report) : history_(history), report_(report) {}

    void check() {
        for (const Life& life : history_.lives) {
            latest_.clear();
            for (const Stay& stay : life.stays) {
                for (const Delivery& delivery : stay.in_regular)
                    check(stay, delivery, false);
                for (const Delivery& delivery : stay.in_transitional)
                    check(stay, delivery, true);
            }
        }
    }

  private:
    // Highest numbers of one sender delivered so far.
    struct Latest {
        std::uint64_t urgent = 0;
        std::uint64_t ordinary = 0;
    };

    void check(const Stay& stay, const Delivery& delivery, bool in_transitional) {
        const Life* sender = history_.find(delivery.message.sender);
        if (sender == nullptr) return;
        const Submission* submission = sender->submission(delivery.message.number);
        if (submission == nullptr) return;
        check_fifo(delivery, submission->sent.urgent);
        const Stay* origin = sender->stay_in(stay.ring);
        if (origin != nullptr) {
            check_known_before(stay, delivery, *origin, submission->entry, in_transitional);
        }
    }

    void check_fifo(const Delivery& delivery, bool urgent) {
        Latest& latest = latest_[delivery.message.sender];
        const std::uint64_t number = delivery.message.number;
        const bool late = number < latest.ordinary || (urgent && number < latest.urgent);
        if (late) {
            report_.add("D6", delivery.entry,
                        to_text(delivery.message) + " comes after a later one of its sender");
        }
        std::uint64_t& mine = urgent ? latest.urgent : latest.ordinary;
        mine = std::max(mine, number);
    }

    // What the sender had delivered in this ring when it sent.
    void check_known_before(const Stay& stay, const Delivery& delivery, const Stay& origin,
                            std::size_t sent, bool in_transitional) {
        const auto known = [&](const std::vector<Delivery>& deliveries) {
            return std::ranges::lower_bound(deliveries, sent, {}, &Delivery::entry) -
                   deliveries.begin();
        };
        const auto count = known(origin.in_regular);
        if (count == 0) return;
        const Delivery& last = origin.in_regular[static_cast<std::size_t>(count - 1)];
        if (last.position >= delivery.position) {
            report_.add("D6", delivery.entry,
                        "its sender had delivered " + to_text(last.message) + " before");
            return;
        }
        if (!in_transitional) return;  // D4: all below was delivered here.
        for (std::ptrdiff_t i = count - 1; i >= 0; --i) {
            const Delivery& cause = origin.in_regular[static_cast<std::size_t>(i)];
            if (!stay.in_regular.empty() && cause.position <= stay.in_regular.back().position) {
                return;
            }
            if (stay.delivered(cause.position)) continue;
            report_.add("D6", delivery.entry,
                        "its sender knew " + to_text(cause.message) + ", which is skipped here");
        }
    }

    const History& history_;
    Report& report_;
    std::map<Process, Latest> latest_;
};

}  // namespace

void check_causality(const History& history, Report& report) {
    Causality(history, report).check();
}

}  // namespace sim
