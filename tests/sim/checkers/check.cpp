#include "tests/sim/checkers/checkers.hpp"

namespace sim {

Report check(const Trace& trace) {
    Report report;
    const History history = tell(trace, report);
    check_basic(history, report);
    check_configurations(history, report);
    check_order(history, report);
    check_causality(history, report);
    check_synchrony(history, report);
    check_safe(history, report);
    check_stability(history, report);
    check_liveness(history, report);
    check_wire(history, report);
    return report;
}

}  // namespace sim
