#include "tests/sim/shrink.hpp"

#include <algorithm>
#include <functional>

#include "tests/sim/run.hpp"

namespace sim {
namespace {

bool fails(const Plan& plan, const std::string& cause) {
    return run_apart(plan).cause() == cause;
}

// Halves, then quarters, down to single faults (as delta debugging does).
bool drop_faults(Plan& plan, const std::string& cause) {
    bool smaller = false;
    for (std::size_t part = std::max<std::size_t>(1, plan.faults.size() / 2); part > 0; part /= 2) {
        std::size_t at = 0;
        while (at < plan.faults.size()) {
            Plan trial = plan;
            const std::size_t end = std::min(at + part, plan.faults.size());
            trial.faults.erase(trial.faults.begin() + static_cast<std::ptrdiff_t>(at),
                               trial.faults.begin() + static_cast<std::ptrdiff_t>(end));
            if (fails(trial, cause)) {
                plan = std::move(trial);
                smaller = true;
            } else {
                at = end;
            }
        }
    }
    return smaller;
}

bool simplify(Plan& plan, const std::string& cause) {
    const std::function<void(Plan&)> simpler[] = {
        [](Plan& it) { it.partial.clear(); },
        [](Plan& it) { it.down = 0; },
        [](Plan& it) { it.paths.loss = it.paths.duplicates = it.paths.reorders = 0; },
        [](Plan& it) { it.work.large = it.work.urgent = 0; },
        [](Plan& it) { it.work.safe = 0; },
        [](Plan& it) { it.work.in_partial_phase = false; },
        [](Plan& it) { it.work.interval_min = it.work.interval_max = 2 * it.work.interval_max; },
        [](Plan& it) { it.links = 1; },
        [](Plan& it) { it.settings.accelerated = false; },
    };
    bool smaller = false;
    for (const auto& change : simpler) {
        Plan trial = plan;
        change(trial);
        if (!fails(trial, cause)) continue;
        plan = std::move(trial);
        smaller = true;
    }
    return smaller;
}

}  // namespace

Plan shrink(Plan plan, const std::string& cause) {
    constexpr int kRoundsMax = 4;
    for (int round = 0; round < kRoundsMax; ++round) {
        const bool fewer_faults = drop_faults(plan, cause);
        const bool simpler = simplify(plan, cause);
        if (!fewer_faults && !simpler) break;
    }
    return plan;
}

}  // namespace sim
