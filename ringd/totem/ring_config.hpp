// The settings of the protocol core. Times are those of the configuration file's totem section.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ringd/totem/events.hpp"

namespace totem {

using base::Duration;
using base::Instant;

// The largest item that can be submitted; fragments of it are ordered one by one.
inline constexpr std::size_t kItemBytesMax = std::size_t{16} << 20u;

struct RingConfig {
    base::NodeId self{};
    std::vector<Peer> peers;  // All other configured nodes, ascending.

    // Largest packet in bytes that every path carries, after the transport's overhead.
    std::size_t packet_bytes_max = 1200;

    Duration token_timeout =
        std::chrono::milliseconds(3000);  // No token for this long: it is lost.
    Duration token_retransmit = std::chrono::milliseconds(50);  // Token sent and no progress seen.
    Duration join_interval = std::chrono::milliseconds(50);     // Join sent again while gathering.
    Duration consensus_timeout = std::chrono::milliseconds(200);  // Bound of one round of gather.
    Duration merge_interval = std::chrono::milliseconds(200);     // Presence told to foreign nodes.

    // Failure detection, apart from the token: a peer is convicted when every link to it was silent
    // for `silence_min`, or longer where measured jitter asks for it, up to `silence_max`.
    Duration heartbeat_interval = std::chrono::milliseconds(100);
    Duration silence_min = std::chrono::milliseconds(600);
    Duration silence_max = std::chrono::milliseconds(2000);
    std::uint32_t probes_to_convict = 3;  // Port-unreachable answers in a row.

    // Flow control, in bytes of packets a rotation of the whole ring and a visit of one member.
    std::size_t window_bytes = std::size_t{512} << 10u;
    std::size_t visit_bytes = std::size_t{192} << 10u;
    std::size_t accelerated_bytes = std::size_t{96} << 10u;  // Sent after the token, a visit.
    std::size_t queue_bytes_max = std::size_t{4} << 20u;     // Submitted and not yet taken.

    bool accelerated = true;
    std::uint64_t features = 0;  // Feature bits offered; the ring uses what all members offer.
};

}  // namespace totem
