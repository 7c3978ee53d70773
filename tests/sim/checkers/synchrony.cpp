// Who moves together delivers the same (totem D2); a sender delivers its own (D1); what was taken
// is not lost (P3).
#include <algorithm>
#include <map>
#include <vector>

#include "tests/sim/checkers/checkers.hpp"

namespace sim {
namespace {

bool same_sequence(const std::vector<Delivery>& a, const std::vector<Delivery>& b) {
    return std::ranges::equal(a, b, {}, &Delivery::position, &Delivery::position);
}

std::string difference(const std::vector<Delivery>& a, const std::vector<Delivery>& b) {
    std::size_t i = 0;
    while (i < a.size() && i < b.size() && a[i].position == b[i].position)
        ++i;
    const auto text = [i](const std::vector<Delivery>& of) {
        return i < of.size() ? to_text(of[i].message) : std::string("nothing");
    };
    return text(a) + " and " + text(b);
}

void check_virtual_synchrony(const History& history, Report& report) {
    struct Moved {
        const Life* life = nullptr;
        const Stay* stay = nullptr;
    };
    std::map<std::pair<base::RingId, base::RingId>, Moved> moves;
    for (const Life& life : history.lives) {
        for (const Stay& stay : life.stays) {
            if (!stay.next) continue;
            const auto [at, is_first] =
                moves.emplace(std::pair(stay.ring, *stay.next), Moved{&life, &stay});
            if (is_first) continue;
            const Moved& first = at->second;
            const std::size_t entry = stay.transition ? stay.transition->entry : stay.entry;
            const std::string names = to_text(first.life->who) + " and " + to_text(life.who);
            if (!same_sequence(first.stay->in_regular, stay.in_regular)) {
                report.add("D2", entry,
                           names + " left " + to_text(stay.ring) + " together and delivered " +
                               difference(first.stay->in_regular, stay.in_regular));
            } else if (!same_sequence(first.stay->in_transitional, stay.in_transitional)) {
                report.add("D2", entry,
                           names + " delivered in transition " +
                               difference(first.stay->in_transitional, stay.in_transitional));
            }
        }
    }
}

// A message that anybody delivered in a ring, its sender delivers there as well, unless it crashes
// (or the trace ends) in that ring.
void check_self_delivery(const History& history, Report& report) {
    for (const Life& life : history.lives) {
        for (const Stay& stay : life.stays) {
            const auto check = [&](const Delivery& delivery) {
                const Life* sender = history.find(delivery.message.sender);
                if (sender == nullptr || sender == &life) return;
                const Stay* origin = sender->stay_in(stay.ring);
                if (origin == nullptr || !origin->next || origin->delivered(delivery.position)) {
                    return;
                }
                report.add("D1", delivery.entry,
                           to_text(delivery.message) + " is not delivered to its sender");
            };
            std::ranges::for_each(stay.in_regular, check);
            std::ranges::for_each(stay.in_transitional, check);
        }
    }
}

// One process: what it sent, what was taken, and what came back.
class Account {
  public:
    Account(const Life& life, Report& report)
        : life_(life), report_(report), delivered_(life.submissions.size() + 1) {}

    void on(const TakenTo& taken, std::size_t entry) {
        if (taken.number < taken_) report_.add("P3", entry, "taken goes back");
        taken_ = std::max(taken_, taken.number);
        if (taken_ > sent_) {
            report_.add("P3", entry, "more taken than sent");
            taken_ = sent_;
        }
    }
    void on(const Sent& sent, std::size_t entry) {
        if (sent.number != sent_ + 1) report_.add("B3", entry, "numbers are not consecutive");
        sent_ = std::max(sent_, sent.number);
    }
    void on(const Delivered& delivered) {
        if (delivered.message.sender != life_.who) return;
        if (delivered.message.number >= delivered_.size()) return;
        delivered_[delivered.message.number] = true;
        while (settled_ + 1 < delivered_.size() && delivered_[settled_ + 1])
            ++settled_;
    }
    // The ring in which they were taken is over.
    void on_regular(std::size_t entry) { demand(taken_, entry, "was taken and is lost"); }
    void on_end(std::size_t entry) { demand(sent_, entry, "is never delivered to its sender"); }

  private:
    void demand(std::uint64_t number, std::size_t entry, const char* what) {
        if (settled_ >= number) return;
        report_.add("P3", entry,
                    to_text(MessageId{.sender = life_.who, .number = settled_ + 1}) + " " + what);
    }

    const Life& life_;
    Report& report_;
    std::vector<bool> delivered_;
    std::uint64_t settled_ = 0;  // All up to here came back.
    std::uint64_t taken_ = 0;
    std::uint64_t sent_ = 0;
};

void check_nothing_lost(const History& history, Report& report) {
    std::map<Process, Account> accounts;
    for (const Life& life : history.lives)
        accounts.emplace(life.who, Account(life, report));
    const Trace& trace = *history.trace;
    for (std::size_t entry = 0; entry < trace.size(); ++entry) {
        const auto at = accounts.find(trace[entry].who);
        if (at == accounts.end()) continue;
        Account& account = at->second;
        const What& what = trace[entry].what;
        if (const auto* sent = std::get_if<Sent>(&what)) account.on(*sent, entry);
        if (const auto* taken = std::get_if<TakenTo>(&what)) account.on(*taken, entry);
        if (const auto* delivered = std::get_if<Delivered>(&what)) account.on(*delivered);
        if (const auto* installed = std::get_if<Installed>(&what)) {
            using Kind = totem::InstallConfiguration::Kind;
            if (installed->configuration.kind == Kind::Regular) account.on_regular(entry);
        }
    }
    for (const Life& life : history.lives) {
        if (!life.ended) accounts.at(life.who).on_end(trace.size() - 1);
    }
}

}  // namespace

void check_synchrony(const History& history, Report& report) {
    check_virtual_synchrony(history, report);
    check_self_delivery(history, report);
    check_nothing_lost(history, report);
}

}  // namespace sim
