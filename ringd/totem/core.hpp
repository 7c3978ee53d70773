// What outlives the states of a ring: settings, knowledge about peers, the configuration in force
// with its messages, and what waits to be sent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/base/prng.hpp"
#include "ringd/totem/actions.hpp"
#include "ringd/totem/connectivity.hpp"
#include "ringd/totem/delivery.hpp"
#include "ringd/totem/failure_detector.hpp"
#include "ringd/totem/flow_control.hpp"
#include "ringd/totem/message_store.hpp"
#include "ringd/totem/parts.hpp"
#include "ringd/totem/ring_config.hpp"
#include "ringd/totem/ring_stats.hpp"
#include "ringd/totem/send_queue.hpp"
#include "ringd/totem/trace.hpp"

namespace totem {

// A regular configuration and the messages of its ring. It stays until the next one is installed:
// a gather that fails does not lose it.
struct Configuration {
    base::RingId ring{};
    NodeSet members{};
    std::map<base::NodeId, Incarnation> incarnations{};  // Of the members, when it was formed.
    std::size_t packet_bytes = 0;                        // What every path between members carries.
    std::uint64_t features = 0;                          // What all members offer.
    MessageStore store{};
    Delivery delivery{base::RingId{}};
    Seq safe_line{};  // All members hold all up to here.
    // In a recovery that may have ended for others: to these we have said that we hold all that
    // they and we hold together. What they sent is delivered with us, whoever comes along.
    NodeSet obliged_to{};

    template <class A>
    void archive(A& a) {
        a(ring, members, incarnations, packet_bytes, features, store, delivery, safe_line,
          obliged_to);
    }
};

struct Core {
    RingConfig config;
    base::NodeId self{};
    base::Prng prng{0};
    Instant now{};

    FailureDetector detector;
    Connectivity connectivity;
    std::map<base::NodeId, PartAssembly> assemblies{};
    std::map<base::NodeId, std::optional<LinkId>> told_links{};  // As UseLink said.
    std::map<base::NodeId, Instant> told_rows{};  // To nodes outside the ring: what we know.

    std::optional<Configuration> installed{};
    std::uint64_t ring_seq_max = 0;     // Highest ring seq ever agreed to.
    std::uint64_t ring_seq_heard = 0;   // The same of anybody whom we heard.
    base::RingId stored{};              // What the disk has: a bound (ring_id_reserve.hpp).
    base::RingId reserving{};           // What it was last told to store.
    std::uint32_t failed_attempts = 0;  // Gathers since the last regular configuration.

    SendQueue queue{};
    std::uint64_t taken_told = 0;
    AdaptiveWindow window{0};
    std::uint32_t next_part_id = 1;

    enum class Leaving : std::uint8_t { No, Draining, Gone };
    Leaving leaving = Leaving::No;
    Instant leave_by{};

    RingStats stats{};
    std::optional<GatherReason> last_gather{};
    Trace trace{};
    base::Memory* item_memory = nullptr;  // As in Delivery::Into.

    // But for what it only tells people, and for what the node is configured to be.
    template <class A>
    void archive(A& a) {
        a(static_cast<RingSettings&>(config), config.packet_bytes_max, prng, now, detector,
          connectivity, assemblies, told_links, told_rows, installed, ring_seq_max, ring_seq_heard,
          stored, reserving, failed_attempts, queue, taken_told, window, next_part_id, last_gather);
    }
};

// One step: the core, and where its actions go.
struct Context {
    Core& core;
    std::vector<Action>& actions;

    void drop(DropCause cause) { ++core.stats.drops[static_cast<std::size_t>(cause)]; }
    void trace(TraceEntry::What what, base::RingId ring = {}, std::uint64_t a = 0,
               std::uint64_t b = 0, base::NodeId peer = {}) {
        core.trace.add({.what = what, .at = core.now, .peer = peer, .ring = ring, .a = a, .b = b});
    }

    [[nodiscard]] Delivery::Into deliveries() const {
        return {.actions = actions, .memory = core.item_memory};
    }

    // A packet, or its parts if it is larger than the paths carry.
    void send_to(base::NodeId node, const base::Buffer& message);
    void send_to_all(SendToAll::Audience audience, const base::Buffer& message);
};

}  // namespace totem
