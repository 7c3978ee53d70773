// Planted faults of delivery: lost, doubled, damaged, in the wrong order or too early.
#include <algorithm>
#include <optional>

#include "tests/sim/checkers/history.hpp"
#include "tests/sim/planted.hpp"

namespace sim {
namespace {

using Visit = std::function<bool(const Life&, const Stay&)>;

// The first stay that `visit` accepts.
bool any_stay(const Trace& trace, const Visit& visit) {
    Report report;
    const History history = tell(trace, report);
    for (const Life& life : history.lives) {
        for (const Stay& stay : life.stays) {
            if (visit(life, stay)) return true;
        }
    }
    return false;
}

Delivered& delivered_at(Trace& trace, std::size_t entry) {
    return std::get<Delivered>(trace[entry].what);
}

void erase(Trace& trace, std::size_t entry) {
    trace.erase(trace.begin() + static_cast<std::ptrdiff_t>(entry));
}

// Some delivery in a regular configuration with others before and after it.
std::optional<Delivery> middle(const Trace& trace) {
    std::optional<Delivery> found;
    any_stay(trace, [&](const Life&, const Stay& stay) {
        if (stay.in_regular.size() < 3) return false;
        found = stay.in_regular[stay.in_regular.size() / 2];
        return true;
    });
    return found;
}

bool change_middle(Trace& trace, const std::function<void(Delivered&)>& change) {
    const auto delivery = middle(trace);
    if (delivery) change(delivered_at(trace, delivery->entry));
    return delivery.has_value();
}

bool drop_one(Trace& trace) {
    const auto delivery = middle(trace);
    if (delivery) erase(trace, delivery->entry);
    return delivery.has_value();
}

bool swap_two(Trace& trace) {
    return any_stay(trace, [&](const Life&, const Stay& stay) {
        if (stay.in_regular.size() < 2) return false;
        std::swap(trace[stay.in_regular[0].entry].what, trace[stay.in_regular[1].entry].what);
        return true;
    });
}

bool repeat_one(Trace& trace) {
    const auto delivery = middle(trace);
    if (!delivery) return false;
    const Entry copy = trace[delivery->entry];
    trace.insert(trace.begin() + static_cast<std::ptrdiff_t>(delivery->entry), copy);
    return true;
}

// A message of the first ring comes once more in the next life of a process, as a new one would.
bool repeat_after_restart(Trace& trace) {
    const auto old = middle(trace);
    if (!old) return false;
    const Entry entry = trace[old->entry];
    return any_stay(trace, [&](const Life& life, const Stay& stay) {
        if (life.who.node != entry.who.node || life.who.life < 2 || stay.in_regular.empty()) {
            return false;
        }
        const Delivery& last = stay.in_regular.back();
        Entry again{trace[last.entry].at, life.who, entry.what};
        auto& delivered = std::get<Delivered>(again.what);
        delivered.ring = stay.ring;
        delivered.seq = last.position.seq;
        delivered.index = last.position.index + 1000;
        trace.insert(trace.begin() + static_cast<std::ptrdiff_t>(last.entry + 1), again);
        return true;
    });
}

// Two that left a ring together, and one of them did not get the last message.
bool lose_last_of_ring(Trace& trace) {
    std::vector<std::pair<base::RingId, base::RingId>> moves;
    return any_stay(trace, [&](const Life&, const Stay& stay) {
        if (!stay.next || stay.in_regular.empty()) return false;
        const std::pair move(stay.ring, *stay.next);
        const bool together = std::ranges::find(moves, move) != moves.end();
        moves.push_back(move);
        if (together) erase(trace, stay.in_regular.back().entry);
        return together;
    });
}

bool lose_last_of_all(Trace& trace) {
    return any_stay(trace, [&](const Life& life, const Stay& stay) {
        if (life.ended || stay.next || stay.in_regular.empty()) return false;
        const Delivery& last = stay.in_regular.back();
        if (last.message.sender != life.who) return false;
        erase(trace, last.entry);
        return true;
    });
}

// Two messages of one sender change places everywhere.
bool break_fifo(Trace& trace) {
    std::optional<std::pair<MessageId, MessageId>> pair;
    any_stay(trace, [&](const Life&, const Stay& stay) {
        for (std::size_t i = 1; i < stay.in_regular.size(); ++i) {
            const Delivery& a = stay.in_regular[i - 1];
            const Delivery& b = stay.in_regular[i];
            if (a.message.sender != b.message.sender) continue;
            pair.emplace(a.message, b.message);
            return true;
        }
        return false;
    });
    if (!pair) return false;
    for (Entry& entry : trace) {
        auto* delivered = std::get_if<Delivered>(&entry.what);
        if (delivered == nullptr) continue;
        if (delivered->message == pair->first) {
            delivered->message = pair->second;
        } else if (delivered->message == pair->second) {
            delivered->message = pair->first;
        }
    }
    return true;
}

// A member that has not received the packet when another delivers it as safe.
bool safe_too_early(Trace& trace) {
    std::optional<Delivery> safe;
    base::RingId ring;
    base::NodeId lacks;
    any_stay(trace, [&](const Life& life, const Stay& stay) {
        for (const Delivery& delivery : stay.in_regular) {
            if (!delivery.safe || delivery.sender != life.who.node) continue;
            const auto other = std::ranges::find_if(
                stay.members, [&](base::NodeId member) { return member != life.who.node; });
            if (other == stay.members.end()) continue;
            safe = delivery;
            ring = stay.ring;
            lacks = *other;
            return true;
        }
        return false;
    });
    if (!safe) return false;
    std::erase_if(trace, [&](const Entry& entry) {
        const auto* received = std::get_if<DataReceived>(&entry.what);
        return received != nullptr && entry.who.node == lacks && received->ring == ring &&
               received->seq == safe->position.seq;
    });
    return true;
}

bool take_too_much(Trace& trace) {
    for (Entry& entry : trace) {
        auto* taken = std::get_if<TakenTo>(&entry.what);
        if (taken == nullptr) continue;
        taken->number += 1'000'000;
        return true;
    }
    return false;
}

}  // namespace

std::vector<PlantedInTrace> planted_deliveries() {
    const auto changed = [](const std::function<void(Delivered&)>& change) {
        return [change](Trace& trace) { return change_middle(trace, change); };
    };
    return {
        {"a delivery is lost", "D4", drop_one},
        {"two deliveries change places at one process", "D3", swap_two},
        {"a message is delivered twice", "B2", repeat_one},
        {"a message is delivered again after a restart", "B3", repeat_after_restart},
        {"a payload is damaged", "B1", changed([](Delivered& it) { it.intact = false; })},
        {"a message nobody sent", "B1", changed([](Delivered& it) { it.message.number += 99999; })},
        {"a delivery in the wrong ring", "B1", changed([](Delivered& it) { ++it.ring.seq; })},
        {"a seq that differs from the others'", "B3",
         changed([](Delivered& it) { it.seq = totem::Seq{it.seq.value() + 100'000}; })},
        {"the guarantee is forgotten", "B1", changed([](Delivered& it) {
             it.guarantee = it.guarantee == totem::Guarantee::Safe ? totem::Guarantee::Agreed
                                                                   : totem::Guarantee::Safe;
         })},
        {"one of two that leave together lacks the last message", "D2", lose_last_of_ring},
        {"the sender never gets its last message", "P3", lose_last_of_all},
        {"two messages of one sender change places everywhere", "D6", break_fifo},
        {"safe before a member has it", "D7", safe_too_early},
        {"taken although never sent", "P3", take_too_much},
    };
}

}  // namespace sim
