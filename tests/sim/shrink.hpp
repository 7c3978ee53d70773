// Makes a failing plan smaller while it still fails in the same way.
#pragma once

#include <string>

#include "tests/sim/plan.hpp"

namespace sim {

// Leaves out faults, phases, rules of the paths and load, each as long as the outcome's cause stays
// `cause`. Every try runs in a process of its own.
[[nodiscard]] Plan shrink(Plan plan, const std::string& cause);

}  // namespace sim
