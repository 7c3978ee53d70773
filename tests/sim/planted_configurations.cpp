// Planted faults of membership: configurations that are lost, differ, or use an old id.
#include <algorithm>

#include "tests/sim/planted.hpp"

namespace sim {
namespace {

using Configuration = totem::InstallConfiguration;
using Kind = Configuration::Kind;

// Another process that came along into the ring of this one.
std::optional<base::NodeId> companion(const Trace& trace, Process who, const Configuration& one) {
    for (const Entry& entry : trace) {
        const auto* installed = std::get_if<Installed>(&entry.what);
        if (installed == nullptr || entry.who.node == who.node) continue;
        const Configuration& it = installed->configuration;
        const bool came_along =
            it.kind == Kind::Regular && it.ring == one.ring && it.previous == one.previous;
        if (came_along) return entry.who.node;
    }
    return std::nullopt;
}

// Changes the first configuration of this kind into which another member came along; false: there
// is none.
bool change_one(Trace& trace, Kind kind, const std::function<void(Process, Configuration&)>& how) {
    for (Entry& entry : trace) {
        auto* installed = std::get_if<Installed>(&entry.what);
        if (installed == nullptr || installed->configuration.kind != kind) continue;
        if (installed->configuration.members.size() < 2) continue;
        if (!companion(trace, entry.who, installed->configuration)) continue;
        how(entry.who, installed->configuration);
        return true;
    }
    return false;
}

bool lose_transitional(Trace& trace) {
    const auto at = std::ranges::find_if(trace, [](const Entry& entry) {
        const auto* installed = std::get_if<Installed>(&entry.what);
        return installed != nullptr && installed->configuration.kind == Kind::Transitional;
    });
    if (at == trace.end()) return false;
    trace.erase(at);
    return true;
}

// The last regular configuration of one process gets the id of its first one.
bool reuse_ring_id(Trace& trace) {
    Configuration* first = nullptr;
    Configuration* last = nullptr;
    Process who;
    for (Entry& entry : trace) {
        auto* installed = std::get_if<Installed>(&entry.what);
        if (installed == nullptr || installed->configuration.kind != Kind::Regular) continue;
        if (first == nullptr) {
            first = &installed->configuration;
            who = entry.who;
        } else if (entry.who == who) {
            last = &installed->configuration;
        }
    }
    if (last == nullptr) return false;
    last->ring = first->ring;
    return true;
}

// One process stays behind when all agree at last.
bool miss_last(Trace& trace) {
    const auto phase = std::find_if(trace.rbegin(), trace.rend(), [](const Entry& entry) {
        return std::holds_alternative<PhaseBegan>(entry.what);
    });
    const auto at = std::find_if(trace.rbegin(), phase, [](const Entry& entry) {
        const auto* installed = std::get_if<Installed>(&entry.what);
        return installed != nullptr && installed->configuration.kind == Kind::Regular &&
               installed->configuration.members.size() > 1;
    });
    if (at == phase) return false;
    trace.erase(std::next(at).base());
    return true;
}

// All others forget the same one in a transitional configuration.
bool forget_one_who_comes(Trace& trace) {
    Configuration forgotten;
    std::optional<base::NodeId> who;
    (void)change_one(trace, Kind::Transitional, [&](Process process, Configuration& it) {
        forgotten = it;
        who = companion(trace, process, it);
    });
    if (!who) return false;
    for (Entry& entry : trace) {
        auto* installed = std::get_if<Installed>(&entry.what);
        if (installed == nullptr || installed->configuration.kind != Kind::Transitional) continue;
        Configuration& it = installed->configuration;
        if (it.ring != forgotten.ring || it.previous != forgotten.previous) continue;
        if (entry.who.node != *who) std::erase(it.members, *who);
    }
    return true;
}

bool never_store(Trace& trace) {
    const auto at = std::ranges::find_if(
        trace, [](const Entry& entry) { return std::holds_alternative<Installed>(entry.what); });
    if (at == trace.end()) return false;
    const Process who = at->who;
    std::erase_if(trace, [&](const Entry& entry) {
        return entry.who == who && std::holds_alternative<Stored>(entry.what);
    });
    return true;
}

bool change_late(Trace& trace) {
    for (std::size_t i = trace.size(); i > 0; --i) {
        auto* phase = std::get_if<PhaseBegan>(&trace[i - 1].what);
        if (phase == nullptr) continue;
        // One that agreed in the last moment: everything the network did was sooner.
        for (std::size_t j = i; j < trace.size(); ++j) {
            if (!std::holds_alternative<Installed>(trace[j].what)) continue;
            const base::Instant late = trace[i - 1].at + 2 * phase->bound;
            for (std::size_t k = j; k < trace.size(); ++k) {
                trace[k].at = std::max(trace[k].at, late);
            }
            return true;
        }
    }
    return false;
}

}  // namespace

std::vector<PlantedInTrace> planted_configurations() {
    const auto changed = [](Kind kind, const std::function<void(Process, Configuration&)>& how) {
        return [kind, how](Trace& trace) { return change_one(trace, kind, how); };
    };
    const auto drop_self = [](Process who, Configuration& it) { std::erase(it.members, who.node); };
    const auto drop_other = [](Process who, Configuration& it) {
        const auto at = std::ranges::find_if(
            it.members, [&](base::NodeId member) { return member != who.node; });
        it.members.erase(at);
    };
    return {
        {"the transitional configuration is lost", "C3", lose_transitional},
        {"a ring id is used again", "C5", reuse_ring_id},
        {"a process is not in its own configuration", "C1", changed(Kind::Regular, drop_self)},
        {"two processes see other members in one ring", "C2", changed(Kind::Regular, drop_other)},
        {"two processes see other members in one transition", "C2",
         changed(Kind::Transitional, drop_other)},
        {"all forget one who comes along", "C4", forget_one_who_comes},
        {"a ring id is not stored", "R1", never_store},
        {"one process misses the last configuration", "C7", miss_last},
        {"agreement comes after the bound", "C7", change_late},
    };
}

}  // namespace sim
