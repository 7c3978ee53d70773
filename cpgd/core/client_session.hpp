// A session of a client on this node: its connections, what it asked for, and the events that it
// has not acknowledged.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "cpgd/core/events.hpp"

namespace cpg {

// Bounds of one session. More window: more throughput of one sender, more memory for each.
struct SessionLimits {
    std::size_t window_bytes = std::size_t{2} << 20u;
    // Events not acknowledged: above `high` the senders of the session's groups are stopped until
    // it is below `low`; above `hard` the session ends.
    std::size_t high_bytes = std::size_t{4} << 20u;
    std::size_t low_bytes = std::size_t{1} << 20u;
    std::size_t hard_bytes = std::size_t{64} << 20u;
};

struct ClientSession {
    using What = decltype(protocol::cpg::SessionEvent::what);

    // A join or leave that is not in the order yet.
    struct Request {
        bool is_join = false;
        std::uint32_t request = 0;
        std::string group;
    };
    struct QueuedEvent {
        protocol::cpg::SessionEvent event;
        std::size_t bytes = 0;  // What it counts; of a run, what is not acknowledged of it.
        std::size_t held = 0;   // Memory that it keeps alive and none before it does.
    };

    SessionId id{};
    std::uint32_t uid = 0;
    std::uint32_t kernel_pid = 0;
    std::uint32_t pid = 0;
    bool totem_events = false;
    bool initial_totem_event = false;
    bool separate_events = false;

    std::optional<ConnectionId> requests;  // Where frames come from and answers go.
    std::optional<ConnectionId> events;    // Where events go; the same one or another.
    bool takes_runs = false;               // That one.
    std::optional<base::Instant> orphaned_until;
    bool is_awaited = false;  // Of a former life; has not come back and said what it has had.

    bool opened = false;  // Open was submitted.
    bool ending = false;  // End was submitted.
    std::map<GroupHandle, Request> asked;

    std::uint64_t received = 0;  // Number of the last multicast from the client.
    // The last part received was not the last of its message: whoever sends it may be waiting for
    // credit in that call and take no events meanwhile, so that a stop would hold it for ever.
    bool is_inside_message = false;
    std::size_t outstanding_bytes = 0;  // Received and not in the order.
    std::size_t uncredited_bytes = 0;   // In the order since the last Credit.
    std::size_t told_window = 0;        // In the last Credit or Welcome.
    bool told_stop = false;             // That one of its groups is stopped.
    std::size_t since_stop_bytes = 0;   // Received since then.

    std::deque<QueuedEvent> queue;
    std::uint64_t next_event = 1;
    std::uint64_t acknowledged = 0;
    std::size_t queued_bytes = 0;
    std::size_t held_bytes = 0;
    std::uint64_t held_batch = 0;  // The last batch that the queue keeps alive.
    // After a restart that lost the channel's place too: the client may have had events up to this
    // one. Had it more, nobody knows which they were, and the session can't go on.
    std::optional<std::uint64_t> sure_events;
    bool is_slow = false;
    base::Instant progress{};  // When it acknowledged last, or became slow.

    // Appends an event; `held` as in QueuedEvent.
    const protocol::cpg::SessionEvent& push(What what, std::size_t held);

    // False: the client acknowledges what it never got.
    [[nodiscard]] bool acknowledge(std::uint64_t event);
};

// What a multicast takes of the window.
[[nodiscard]] inline std::size_t mcast_cost(std::size_t payload_bytes) {
    return payload_bytes + protocol::cpg::kMcastCostBytes;
}

}  // namespace cpg
