// Runs many seeds on several processors. A run that aborts costs its worker, not the others.
#pragma once

#include <cstdint>
#include <functional>

#include "tests/sim/run.hpp"

namespace sim {

// Calls `done` once for each seed, in no particular order. `plan_of` also runs in the workers.
void run_all(std::uint64_t first, std::uint64_t last, std::size_t jobs,
             const std::function<Plan(std::uint64_t)>& plan_of,
             const std::function<void(const Outcome&)>& done);

}  // namespace sim
