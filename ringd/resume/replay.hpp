// Goes on from what a killed ringd left: the same inputs from the same state, and what of their
// outcome was not done. Pure.
#pragma once

#include <optional>
#include <vector>

#include "ringd/resume/journal.hpp"
#include "ringd/stream/switch.hpp"
#include "ringd/totem/ring.hpp"

namespace resume {

struct Resumed {
    totem::Ring ring;
    stream::Switch streams;
    // To be carried out before the first checkpoint: who is there and on which links, then what the
    // other process may not have sent. Nothing for the stream is among them.
    std::vector<totem::Action> actions;
    std::size_t inputs = 0;
};

// None: the bytes are no such state; it is damaged.
[[nodiscard]] std::optional<Resumed> replay(const totem::RingConfig& ring_config,
                                            const stream::SwitchConfig& stream_config,
                                            const Journal::Left& left);

}  // namespace resume
