// What cpgd tells about itself: plain data, for the status socket and for tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/ids.hpp"
#include "common/protocol/cpg_api.hpp"
#include "common/protocol/ring_api.hpp"

namespace cpg {

struct Counters {
    std::uint64_t multicasts = 0;       // From our clients.
    std::uint64_t multicast_bytes = 0;  // Payload of these.
    std::uint64_t batches_submitted = 0;
    std::uint64_t batches_applied = 0;
    std::uint64_t batches_refused = 0;    // Malformed, or of nobody in the view.
    std::uint64_t events = 0;             // To our clients.
    std::uint64_t repeats_dropped = 0;    // Records that came a second time.
    std::uint64_t exchanges = 0;          // Begun after a view.
    std::uint64_t exchanges_aborted = 0;  // By the next view.
    std::uint64_t sessions_stuck = 0;     // Ended since they took nothing.
    std::uint64_t sessions_overflowed = 0;
    std::uint64_t protocol_errors = 0;  // Connections closed since a client broke the rules.
    std::uint64_t group_stops = 0;      // Said by us.
};

struct SessionStatus {
    protocol::cpg::SessionId session{};
    std::uint32_t pid = 0;
    std::uint32_t kernel_pid = 0;
    std::uint32_t uid = 0;
    bool is_connected = false;
    bool is_slow = false;
    std::vector<std::string> groups;
    std::uint64_t events = 0;        // Made.
    std::uint64_t acknowledged = 0;  // Of these.
    std::size_t queued_bytes = 0;
    std::size_t held_bytes = 0;         // Of batches that the queue keeps alive.
    std::size_t outstanding_bytes = 0;  // From it, not in the order yet.
    std::size_t window_bytes = 0;
};

struct GroupStatus {
    std::string name;
    std::vector<protocol::cpg::Member> members;
    std::vector<base::NodeId> stopped_by;  // Nodes with a slow member.
};

struct Status {
    base::NodeId self{};
    bool is_attached = false;
    bool is_synchronised = false;
    bool is_exchanging = false;
    std::vector<base::NodeId> awaited;  // Whose State the exchange waits for.
    protocol::Cursor applied{};
    base::RingId ring{};
    std::vector<base::NodeId> nodes;
    std::vector<GroupStatus> groups;      // By name.
    std::vector<SessionStatus> sessions;  // Of this node.
    std::size_t pending_records = 0;
    std::size_t unordered_batches = 0;
    Counters counters;
};

}  // namespace cpg
