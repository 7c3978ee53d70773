// What the protocol core starts with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ringd/totem/events.hpp"
#include "ringd/totem/ring_settings.hpp"

namespace totem {

using base::Duration;
using base::Instant;

// The largest item that can be submitted; fragments of it are ordered one by one.
inline constexpr std::size_t kItemBytesMax = std::size_t{16} << 20u;

// Heartbeats may promise when the next one comes (Heartbeat::promise).
inline constexpr std::uint64_t kFeatureRareHeartbeats = 1u << 0u;

struct RingConfig : RingSettings {
    base::NodeId self{};
    std::vector<Peer> peers;  // All other configured nodes, ascending.

    // Largest packet in bytes that every path carries, after the transport's overhead.
    std::size_t packet_bytes_max = 1200;

    std::uint64_t features =
        kFeatureRareHeartbeats;  // Feature bits offered; the ring uses what all members offer.
};

}  // namespace totem
