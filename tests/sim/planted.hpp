// Faults put on purpose into what the core did, each with the rule that must notice: they show that
// the checkers can fail.
#pragma once

#include <functional>
#include <vector>

#include "tests/sim/cluster.hpp"
#include "tests/sim/cpg_services.hpp"

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

// The same between a cpgd and its clients, or the ring.
struct PlantedInGroups {
    const char* what = "";
    const char* rule = "";
    std::function<CpgTamper()> plant;
};

// A wrong way to go on after a kill.
struct PlantedInResume {
    const char* what = "";
    const char* rule = "";
    Plan::Wrong wrong = Plan::Wrong::Nothing;
};

[[nodiscard]] std::vector<PlantedInTrace> planted_deliveries();
[[nodiscard]] std::vector<PlantedInTrace> planted_configurations();
[[nodiscard]] std::vector<PlantedInTrace> planted_packets();
[[nodiscard]] std::vector<PlantedInActions> planted_in_actions();
[[nodiscard]] std::vector<PlantedInGroups> planted_in_groups();

}  // namespace sim
