// Integrity (totem B1, B2): what is delivered was sent, once, by a member, and arrives whole.
#include <algorithm>
#include <vector>

#include "tests/sim/checkers/checkers.hpp"

namespace sim {
namespace {

// The numbers of one sender that a process delivered.
struct Seen {
    Process sender;
    std::vector<bool> numbers;
};

class Basic {
  public:
    Basic(const History& history, Report& report) : history_(history), report_(report) {}

    void check() {
        for (const Life& life : history_.lives) {
            seen_.clear();
            for (const Stay& stay : life.stays) {
                if (!std::ranges::binary_search(stay.members, life.who.node)) {
                    report_.add("B4", stay.entry, "a configuration without its own process");
                }
                for (const Delivery& delivery : stay.in_regular)
                    check(stay, delivery);
                for (const Delivery& delivery : stay.in_transitional)
                    check(stay, delivery);
            }
        }
    }

  private:
    void check(const Stay& stay, const Delivery& delivery) {
        const auto& delivered = std::get<Delivered>((*history_.trace)[delivery.entry].what);
        if (!delivered.intact) {
            report_.add("B1", delivery.entry, "the payload is not what was sent");
            return;
        }
        check_sent(stay, delivery, delivered);
        check_once(delivery);
    }

    void check_sent(const Stay& stay, const Delivery& delivery, const Delivered& delivered) {
        const Life* sender = history_.find(delivery.message.sender);
        const Submission* submission =
            sender == nullptr ? nullptr : sender->submission(delivery.message.number);
        if (submission == nullptr || submission->entry > delivery.entry) {
            report_.add("B1", delivery.entry, to_text(delivery.message) + " was never sent");
            return;
        }
        if (submission->sent.guarantee != delivered.guarantee ||
            submission->sent.size != delivered.size ||
            delivery.message.sender.node != delivered.sender) {
            report_.add("B1", delivery.entry, "sender, size or guarantee is not as sent");
        }
        if (!std::ranges::binary_search(stay.members, delivered.sender)) {
            report_.add("B1", delivery.entry, "the sender is not a member of the ring");
        }
        const Stay* origin = sender->stay_in(stay.ring);
        if (origin == nullptr || origin->entry > delivery.entry) {
            report_.add("B1", delivery.entry, "the sender had not installed the ring");
        }
    }

    void check_once(const Delivery& delivery) {
        auto at = std::ranges::find(seen_, delivery.message.sender, &Seen::sender);
        if (at == seen_.end()) {
            seen_.push_back({.sender = delivery.message.sender, .numbers = {}});
            at = seen_.end() - 1;
        }
        const std::size_t number = delivery.message.number;
        if (number >= at->numbers.size()) at->numbers.resize(number + 1);
        if (at->numbers[number]) {
            report_.add("B2", delivery.entry, to_text(delivery.message) + " is delivered again");
        }
        at->numbers[number] = true;
    }

    const History& history_;
    Report& report_;
    std::vector<Seen> seen_;
};

}  // namespace

void check_basic(const History& history, Report& report) {
    Basic(history, report).check();
}

}  // namespace sim
