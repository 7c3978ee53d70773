// Reads packets on their way, for the trace: what the checkers must know of the wire.
#pragma once

#include <map>
#include <utility>

#include "ringd/totem/parts.hpp"
#include "tests/sim/trace.hpp"

namespace sim {

class WireTap {
  public:
    explicit WireTap(Trace& trace) : trace_(trace) {}

    // What its sender's own decoder refuses is noted as malformed.
    void sent(base::Instant now, Process who, const base::Buffer& packet);
    void received(base::Instant now, Process who, base::NodeId from, const base::Buffer& packet);

  private:
    Trace& trace_;
    // Messages cut into parts, at both ends.
    std::map<Process, totem::PartAssembly> leaving_;
    std::map<std::pair<Process, base::NodeId>, totem::PartAssembly> arriving_;
};

}  // namespace sim
