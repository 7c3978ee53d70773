// What the ringd before this one left, and whether this one can go on from it
// (docs/design/0004-resume.md).
#pragma once

#include <string>

#include "ringd/lasting_memory.hpp"
#include "ringd/resume/journal.hpp"
#include "ringd/resume/replay.hpp"
#include "ringd/totem/ring_config.hpp"
#include "ringd/transport/network_transport.hpp"

namespace ringd {

// Of this program and these settings: what was left under others is of no use.
[[nodiscard]] resume::Stamp stamp_of(const totem::RingConfig& ring,
                                     const transport::NetworkConfig& network, std::uint32_t key_id);

struct FormerLife {
    resume::Resumed cores;
    transport::ChannelMemory::Left channel;
    base::Instant ended{};  // Its last sign.
};

// Counts the try. Else: why not, for people; empty when nothing was left.
[[nodiscard]] base::Expected<FormerLife, std::string> read_former_life(
    const LastingMemory& memory, const resume::Stamp& stamp, const totem::RingConfig& ring,
    const stream::SwitchConfig& streams, base::Instant now);

}  // namespace ringd
