// Draws a schedule of faults that fits the profile of a plan.
#pragma once

#include "tests/sim/plan.hpp"

namespace sim {

// Fills faults, partial and down of a plan that has all else.
void draw_kills(Random& random, Plan& plan);
void draw_faults(Random& random, Plan& plan);

// A reload of other settings, in some of the plans. Apart from the others, so that the plans that
// have none are as they were.
void draw_retime(Random& random, Plan& plan);

}  // namespace sim
