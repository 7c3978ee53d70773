#include "tests/sim/checkers/history.hpp"

#include <algorithm>
#include <map>

namespace sim {
namespace {

bool contains_position(const std::vector<Delivery>& deliveries, Position position) {
    // Ascending if D3 holds; where it does not, D3 says so.
    const auto at = std::ranges::lower_bound(deliveries, position, {}, &Delivery::position);
    return at != deliveries.end() && at->position == position;
}

class Teller {
  public:
    Teller(const Trace& trace, Report& report) : trace_(trace), report_(report) {}

    std::vector<Life> tell() {
        for (entry_ = 0; entry_ < trace_.size(); ++entry_) {
            if (trace_[entry_].who.life == 0) continue;
            std::visit([&](const auto& what) { on(what); }, trace_[entry_].what);
        }
        std::vector<Life> lives;
        lives.reserve(lives_.size());
        for (auto& [who, life] : lives_)
            lives.push_back(std::move(life));
        return lives;
    }

  private:
    Life& life() { return lives_[trace_[entry_].who]; }

    void on(const Started& started) {
        Life& it = life();
        it.who = trace_[entry_].who;
        it.started = entry_;
        it.durable = started.durable;
    }
    void on(const Ended&) { life().ended = entry_; }
    void on(const Sent& sent) { life().submissions.push_back({.sent = sent, .entry = entry_}); }
    void on(const Stored& stored) { life().stored.emplace_back(stored.ring, entry_); }

    void on(const Installed& installed) {
        const auto& configuration = installed.configuration;
        if (configuration.kind == totem::InstallConfiguration::Kind::Transitional) {
            on_transitional(configuration);
        } else {
            on_regular(configuration);
        }
    }

    void on_transitional(const totem::InstallConfiguration& configuration) {
        std::vector<Stay>& stays = life().stays;
        if (stays.empty()) {
            report_.add("C3", entry_, "a transitional configuration comes first");
            return;
        }
        Stay& stay = stays.back();
        if (stay.transition) {
            report_.add("C3", entry_, "two transitional configurations in a row");
            return;
        }
        if (configuration.previous != stay.ring) {
            report_.add("C3", entry_,
                        "transitional configuration of " + to_text(configuration.previous) +
                            " in " + to_text(stay.ring));
        }
        stay.transition = Transition{.next = configuration.ring,
                                     .previous = configuration.previous,
                                     .members = configuration.members,
                                     .entry = entry_};
    }

    void on_regular(const totem::InstallConfiguration& configuration) {
        std::vector<Stay>& stays = life().stays;
        if (!stays.empty()) end_stay(stays.back(), configuration);
        if (stays.empty() && configuration.previous != base::RingId{}) {
            report_.add("C3", entry_, "first configuration names a previous one");
        }
        Stay stay;
        stay.ring = configuration.ring;
        stay.previous = configuration.previous;
        stay.members = configuration.members;
        stay.entry = entry_;
        stays.push_back(std::move(stay));
    }

    void end_stay(Stay& stay, const totem::InstallConfiguration& configuration) {
        stay.next = configuration.ring;
        if (configuration.previous != stay.ring) {
            report_.add("C3", entry_, "previous is not the configuration before");
        }
        if (!stay.transition) {
            report_.add("C3", entry_, "no transitional configuration between two regular ones");
        } else if (stay.transition->next != configuration.ring) {
            report_.add("C3", entry_, "not the configuration that the transitional one named");
        }
    }

    void on(const Delivered& delivered) {
        std::vector<Stay>& stays = life().stays;
        if (stays.empty()) {
            report_.add("B4", entry_, "delivery before the first configuration");
            return;
        }
        Stay& stay = stays.back();
        if (delivered.ring != stay.ring) {
            report_.add(
                "B1", entry_,
                "delivery of ring " + to_text(delivered.ring) + " in " + to_text(stay.ring));
            return;
        }
        const Delivery delivery{.position = {.seq = delivered.seq, .index = delivered.index},
                                .message = delivered.message,
                                .sender = delivered.sender,
                                .safe = delivered.guarantee == totem::Guarantee::Safe,
                                .entry = entry_};
        (stay.transition ? stay.in_transitional : stay.in_regular).push_back(delivery);
    }

    void on(const TakenTo&) {}
    void on(const TokenSent&) {}
    void on(const CommitTokenSent&) {}
    void on(const DataSent&) {}
    void on(const DataReceived&) {}
    void on(const TooLarge&) {}
    void on(const Malformed&) {}
    void on(const Spinning&) {}
    void on(const FaultBegan&) {}
    void on(const Said&) {}
    void on(const FaultEnded&) {}
    void on(const PhaseBegan&) {}
    void on(const PhaseEnded&) {}

    const Trace& trace_;
    Report& report_;
    std::map<Process, Life> lives_;
    std::size_t entry_ = 0;
};

}  // namespace

bool Stay::delivered(Position position) const {
    return contains_position(in_regular, position) || contains_position(in_transitional, position);
}

const Stay* Life::stay_in(base::RingId ring) const {
    const auto at = std::ranges::find(stays, ring, &Stay::ring);
    return at == stays.end() ? nullptr : &*at;
}

const Submission* Life::submission(std::uint64_t number) const {
    if (number == 0 || number > submissions.size()) return nullptr;
    const Submission& it = submissions[number - 1];
    return it.sent.number == number ? &it : nullptr;
}

bool Life::has_stored(base::RingId ring, std::size_t before) const {
    return std::ranges::any_of(stored, [&](const auto& bound) {
        return bound.first.seq >= ring.seq && bound.second < before;
    });
}

const Life* History::find(Process who) const {
    const auto at = std::ranges::lower_bound(lives, who, {}, &Life::who);
    return at != lives.end() && at->who == who ? &*at : nullptr;
}

const Life* History::participant(base::NodeId node, base::RingId ring) const {
    const Life* covers_it = nullptr;
    for (const Life& life : lives) {
        if (life.who.node != node) continue;
        if (life.stay_in(ring) != nullptr) return &life;
        if (life.durable.seq < ring.seq && life.has_stored(ring, trace->size())) covers_it = &life;
    }
    return covers_it;
}

History tell(const Trace& trace, Report& report) {
    return {.trace = &trace, .lives = Teller(trace, report).tell()};
}

}  // namespace sim
