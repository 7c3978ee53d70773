// Draws a schedule of faults that fits the profile of a plan.
#pragma once

#include "tests/sim/plan.hpp"

namespace sim {

// Fills faults, partial and down of a plan that has all else.
void draw_faults(Random& random, Plan& plan);

}  // namespace sim
