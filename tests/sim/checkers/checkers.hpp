// The rules, one file a family. A checker sees only what happened (docs/testing.md lists the rules
// with their source); it knows nothing of how the core works.
#pragma once

#include "tests/sim/checkers/history.hpp"
#include "tests/sim/checkers/report.hpp"

namespace sim {

void check_basic(const History& history, Report& report);           // B1 B2 B3
void check_configurations(const History& history, Report& report);  // C1 C2 C3 C4 C5 R1
void check_order(const History& history, Report& report);           // B3 D3 D4 D5
void check_causality(const History& history, Report& report);       // D6
void check_synchrony(const History& history, Report& report);       // D1 D2 P3
void check_safe(const History& history, Report& report);            // D7
void check_stability(const History& history, Report& report);       // D7, on the wire
void check_liveness(const History& history, Report& report);        // C7 P2 P3
void check_wire(const History& history, Report& report);            // T1 … T6 W1 W2

// All of them.
[[nodiscard]] Report check(const Trace& trace);

}  // namespace sim
