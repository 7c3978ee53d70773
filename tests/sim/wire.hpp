// Reads packets on their way, for the trace: what the checkers must know of the wire.
#pragma once

#include "tests/sim/trace.hpp"

namespace sim {

// Needs: `packet` is what the core wants sent. One that its own decoder refuses is noted as such.
void note_sent(Trace& trace, base::Instant now, Process who, const base::Buffer& packet);
void note_received(Trace& trace, base::Instant now, Process who, const base::Buffer& packet);

}  // namespace sim
