// What the stream side of ringd shows of itself: plain values, to be written as JSON by who asks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/ring_api.hpp"

namespace stream {

struct ServiceStatus {
    protocol::Incarnation incarnation{};
    bool connected = false;
    bool ending = false;  // Its Detach waits for what it submitted before.
    protocol::Cursor last{};
    protocol::Cursor applied{};  // Acknowledged.
    std::size_t retained_bytes = 0;
    std::size_t in_flight_bytes = 0;  // Sent and not received.
    bool slow = false;                // The retention is full; its window is 0.
    std::uint64_t submitted = 0;
    std::uint64_t taken = 0;
    std::size_t outstanding_bytes = 0;
    std::uint64_t window_bytes = 0;
};

struct ChannelStatus {
    std::string name;
    std::uint64_t version = 0;
    std::vector<protocol::ViewMember> members;
    std::vector<ServiceStatus> services;  // Of this node: the first is on the channel.
    std::size_t observers = 0;
};

// Since the start.
struct Counters {
    std::uint64_t delivered = 0;         // Items of services that had their place.
    std::uint64_t delivered_bytes = 0;   // Their payload.
    std::uint64_t duplicates = 0;        // Ordered once more: dropped.
    std::uint64_t gaps = 0;              // Behind one that a change of configuration threw back.
    std::uint64_t not_attached = 0;      // Of services that had left the channel: dropped.
    std::uint64_t malformed_items = 0;   // From the ring: dropped.
    std::uint64_t malformed_frames = 0;  // From local connections: these ended.
    std::uint64_t evicted = 0;           // Services that were too slow or away for too long.
    std::uint64_t refused = 0;
};

struct Status {
    std::optional<base::RingId> ring;
    std::vector<base::NodeId> members;
    std::vector<base::NodeId> awaited;  // Of whom it is not known yet what is attached.
    std::size_t held_items = 0;         // Wait until it is.
    std::vector<ChannelStatus> channels;
    Counters counters;
};

}  // namespace stream
