// What of the protocol core's settings may change while it runs. Times are those of the
// configuration file's totem section.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "common/base/instant.hpp"

namespace totem {

struct RingSettings {
    base::Duration token_timeout =
        std::chrono::milliseconds(3000);  // No token for this long: it is lost.
    // Token sent and no progress seen.
    base::Duration token_retransmit = std::chrono::milliseconds(50);
    // Join sent again while gathering.
    base::Duration join_interval = std::chrono::milliseconds(50);
    // Bound of one round of gather.
    base::Duration consensus_timeout = std::chrono::milliseconds(200);
    // Presence told to foreign nodes.
    base::Duration merge_interval = std::chrono::milliseconds(200);

    // Failure detection, apart from the token: a peer is convicted when every link to it was silent
    // for `silence_min`, or longer where measured jitter asks for it, up to `silence_max`.
    base::Duration heartbeat_interval = std::chrono::milliseconds(100);
    base::Duration silence_min = std::chrono::milliseconds(600);
    base::Duration silence_max = std::chrono::milliseconds(2000);
    std::uint32_t probes_to_convict = 3;  // Port-unreachable answers in a row.

    // Flow control, in bytes of packets a rotation of the whole ring and a visit of one member.
    std::size_t window_bytes = std::size_t{512} << 10u;
    std::size_t visit_bytes = std::size_t{384} << 10u;
    std::size_t accelerated_bytes = std::size_t{96} << 10u;  // Sent after the token, a visit.
    std::size_t queue_bytes_max = std::size_t{4} << 20u;     // Submitted and not yet taken.

    bool accelerated = true;

    template <class A>
    void archive(A& a) {
        a(token_timeout, token_retransmit, join_interval, consensus_timeout, merge_interval,
          heartbeat_interval, silence_min, silence_max, probes_to_convict, window_bytes,
          visit_bytes, accelerated_bytes, queue_bytes_max, accelerated);
    }
};

}  // namespace totem
