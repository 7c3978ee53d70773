// The Totem single-ring protocol as one deterministic state machine: no socket, clock, disk,
// thread, entropy or log in here. ringd drives it in production, tests/sim in simulation.
//
// Same starting values and same calls give the same actions, on every machine. A Ring is a value:
// copying it forks the execution, which is how tests/model explores all interleavings.
#pragma once

#include <optional>
#include <vector>

#include "common/base/archive.hpp"
#include "ringd/totem/actions.hpp"
#include "ringd/totem/events.hpp"
#include "ringd/totem/ring_config.hpp"
#include "ringd/totem/ring_stats.hpp"
#include "ringd/totem/states.hpp"

namespace totem {

class Ring {
  public:
    // `last_ring` is what StoreRing last made durable, or a default RingId on the very first start.
    // `seed` feeds the only randomness. `now` is of a clock that runs on while the process is not
    // running, until the next boot: with `last_ring` it tells this run of the process from earlier
    // ones. The ring starts in gather: call step with DeadlinePassed at once.
    Ring(const RingConfig& config, base::RingId last_ring, std::uint64_t seed, Instant now);

    // Its whole state as bytes, for a process that goes on as the same member when this one is
    // killed: docs/design/0004-resume.md. Only an operational member that is not leaving can.
    [[nodiscard]] bool can_be_archived() const;
    void archive_to(base::ArchiveWriter& writer) const;
    // None: these bytes are no such state, or that of another node. `config` is that of the Ring
    // that was archived.
    [[nodiscard]] static std::optional<Ring> restore(const RingConfig& config,
                                                     base::ArchiveReader& reader);
    // Of those bytes: who gives another number can't read them (common/base/archive_shape.hpp).
    [[nodiscard]] static std::uint64_t layout();
    // What the driver has to know first: the actions that it had carried out.
    void tell_paths(std::vector<Action>& actions) const;

    // In what memory items are put together that came in fragments. It outlives the steps, also
    // those of copies.
    void put_items_into(base::Memory& memory) { core_.item_memory = &memory; }

    // Appends to `actions`. `now` never goes back. A malformed packet changes nothing but a
    // counter.
    void step(Instant now, const Event& event, std::vector<Action>& actions);

    // When to step with DeadlinePassed, if nothing else happens before. Ask again after each step.
    // None: it has left.
    [[nodiscard]] std::optional<Instant> next_deadline() const;

    // Bytes of items that Submitted may bring now; 0: wait for Taken.
    [[nodiscard]] std::size_t submit_room() const;

    [[nodiscard]] const RingStats& stats() const { return core_.stats; }
    [[nodiscard]] const Trace& trace() const { return core_.trace; }
    [[nodiscard]] RingStatus status() const;
    [[nodiscard]] const State& state() const { return state_; }

  private:
    explicit Ring(Core core) : core_(std::move(core)) {}

    void handle(Context& context, const PacketArrived& event);
    void handle(Context& context, const PacketsArrived& event);
    void handle(Context& context, const Drained& event);
    void handle(Context& context, const DeadlinePassed& event);
    void handle(Context& context, const Submitted& event);
    void handle(Context& context, const RingStored& event);
    void handle(Context& context, const PeerEvidence& event);
    void handle(Context& context, const Paused& event);
    void handle(Context& context, const LeaveRequested& event);
    void handle(Context& context, const PeersConfigured& event);
    void handle(Context& context, const SettingsChanged& event);
    void handle(Context& context, const PacketBytesChanged& event);

    void handle_packet(Context& context, base::NodeId from, LinkId link, const base::Buffer& packet,
                       bool assembled);
    void handle_heartbeat(Context& context, base::NodeId from, LinkId link,
                          const base::Buffer& packet);
    void handle_join(Context& context, base::NodeId from, const base::Buffer& packet);
    void handle_leave(Context& context, base::NodeId from, const base::Buffer& packet);
    void handle_part(Context& context, base::NodeId from, LinkId link, const base::Buffer& packet);
    void handle_data(Context& context, const base::Buffer& packet);

    // Brings the failure detector's view into the own row; sends what heartbeats are due.
    void look_at_peers(Context& context);
    enum class RowChange : std::uint8_t { None, Gained, Lost };
    [[nodiscard]] RowChange take_over_peers(Context& context);
    void send_heartbeat(Context& context, const FailureDetector::Beat& beat) const;
    void learn_rows(Context& context, base::NodeId from, const std::vector<Row>& rows);
    void go_on_leaving(Context& context);
    void change(Next next);
    void check_invariants() const;

    Core core_;
    State state_;
    bool rows_changed_ = false;          // In this step.
    std::uint64_t generation_seen_ = 0;  // Of the failure detector.
};

}  // namespace totem
