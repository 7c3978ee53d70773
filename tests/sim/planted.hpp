// Faults put on purpose into what the core did, each with the rule that must notice: they show that
// the checkers can fail.
#pragma once

#include <functional>
#include <vector>

#include "tests/sim/cluster.hpp"

namespace sim {

// Changes the trace of a clean run; false: this run offers no place for it.
struct PlantedInTrace {
    const char* what = "";
    const char* rule = "";
    std::function<bool(Trace&)> plant;
};

// Changes what the core wants done while the run goes on.
struct PlantedInActions {
    const char* what = "";
    const char* rule = "";
    std::function<Tamper()> plant;  // A new one for each run: it may count.
};

[[nodiscard]] std::vector<PlantedInTrace> planted_deliveries();
[[nodiscard]] std::vector<PlantedInTrace> planted_configurations();
[[nodiscard]] std::vector<PlantedInTrace> planted_packets();
[[nodiscard]] std::vector<PlantedInActions> planted_in_actions();

}  // namespace sim
