// The Totem single-ring protocol as one deterministic state machine: no socket, clock, disk,
// thread, entropy or log in here. ringd drives it in production, tests/sim in simulation.
//
// Same starting values and same calls give the same actions, on every machine. A Ring is a value:
// copying it forks the execution, which is how tests/model explores all interleavings.
#pragma once

#include <optional>
#include <vector>

#include "ringd/totem/actions.hpp"
#include "ringd/totem/events.hpp"
#include "ringd/totem/ring_config.hpp"

namespace totem {

class Ring {
  public:
    // `last_ring` is what StoreRing last made durable, or a default RingId on the very first start.
    // `seed` feeds the only randomness (jitter of timers). The ring starts in gather, at `now`:
    // call step with DeadlinePassed at once.
    Ring(const RingConfig& config, base::RingId last_ring, std::uint64_t seed, Instant now);

    // Appends to `actions`. `now` never goes back. A malformed packet changes nothing but a
    // counter.
    void step(Instant now, const Event& event, std::vector<Action>& actions);

    // When to step with DeadlinePassed, if nothing else happens before. Ask again after each step.
    [[nodiscard]] std::optional<Instant> next_deadline() const;

    // Bytes of items that Submitted may bring now; 0: wait for Taken.
    [[nodiscard]] std::size_t submit_room() const;
};

}  // namespace totem
