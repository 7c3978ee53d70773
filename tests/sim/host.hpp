// One node: its disk and socket, which outlive the process, and the process, which is the shipped
// totem::Ring stepped as ringd's driver does.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "ringd/resume/journal.hpp"
#include "ringd/totem/ring.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/process.hpp"

namespace sim {

struct Inbound {
    base::NodeId from{};
    totem::LinkId link{};
    base::Buffer packet;
};

// What the application wants to send next.
struct Request {
    totem::Guarantee guarantee = totem::Guarantee::Agreed;
    bool urgent = false;
    std::size_t size = 0;
};

struct Host {
    NodeIndex index = 0;
    base::NodeId node{};

    // Outlives the process.
    base::RingId durable{};
    bool disk_lost = false;
    std::uint32_t lives = 0;
    int down = 0;       // Faults that keep the process down.
    int host_down = 0;  // Of them those that take the whole host down.
    int paused = 0;
    std::optional<base::Instant> paused_since;
    base::Duration disk_delay{};
    base::Duration turn_delay{};
    std::size_t packet_bytes_max = 0;  // The paths carry no more.
    std::vector<bool> knows;           // By index: is in this node's configuration.

    // The process; ends with it.
    std::optional<totem::Ring> ring;
    Process who;
    std::deque<Inbound> socket;
    std::size_t socket_bytes = 0;
    std::vector<totem::Event> told;  // Not yet stepped.
    std::deque<Request> requests;
    std::uint64_t submitted = 0;
    std::size_t packet_bytes_told = 0;  // What the process knows of the paths.
    bool leaving = false;
    bool crash_soon = false;              // Torn: in the next step that wants something.
    std::optional<base::RingId> storing;  // On its way to the disk.
    std::optional<base::RingId> store_next;
    std::vector<base::NodeId> audience;
    std::vector<std::optional<totem::LinkId>> best_link;  // By index.
    std::vector<bool> wants_lifeline;                     // By index.

    // With Plan::has_kills: what the next process goes on from, and in which state of that this one
    // is.
    std::vector<std::byte> memory;
    std::optional<resume::Journal> journal;
    std::optional<Kill::Point> kill_soon;
    std::optional<base::Instant> killed_at;  // Until another goes on.
    std::size_t acted = 0;                   // Actions of the last commit that were carried out.

    // The last regular configuration, or none.
    std::optional<base::RingId> current;
    std::vector<base::NodeId> members;
    std::uint64_t delivered = 0;  // In it.
    std::uint64_t came_back = 0;  // Of those submitted.

    // When the loop turns next.
    std::optional<base::Instant> turn_at;
    std::uint64_t turns_in_a_row = 0;  // Without time going on noticeably.
    base::Instant row_began{};

    [[nodiscard]] bool is_running() const { return ring.has_value(); }
};

}  // namespace sim
