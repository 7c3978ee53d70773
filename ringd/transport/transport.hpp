// What ringd's driver asks of a network, be it UDP or InfiniBand: the actions of the Totem core go
// in, its events come out. One thread, no callback: the driver calls when a descriptor is readable
// or a deadline has passed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/instant.hpp"
#include "ringd/totem/actions.hpp"
#include "ringd/totem/events.hpp"
#include "ringd/transport/drop_cause.hpp"

namespace transport {

// What an RDMA device was asked to do, and what happened to it.
struct RdmaCounters {
    std::string device;                    // Empty while there is none.
    std::string problem;                   // Why the link does not work; empty while it does.
    std::size_t packet_bytes = 0;          // Largest datagram of its port.
    std::size_t receives = 0;              // Buffers posted.
    std::size_t locked_bytes = 0;          // Registered memory.
    std::uint64_t doorbells_sent = 0;      // Lists of sends handed over.
    std::uint64_t doorbells_received = 0;  // Lists of receive buffers handed over.
    std::uint64_t sends = 0;           // Datagrams in these lists; one to the group counts once.
    std::uint64_t sends_inline = 0;    // Of these, copied into the list itself.
    std::uint64_t sends_to_group = 0;  // Of these, to the group.
    std::uint64_t completions_sent = 0;
    std::uint64_t completions_received = 0;
    std::uint64_t wakeups = 0;       // Events of the completion channel.
    std::uint64_t spins = 0;         // Times that it was polled a little longer instead.
    std::uint64_t spins_useful = 0;  // Of these, something came.
    std::uint64_t not_resolved = 0;  // Packets for a peer whose queue pair is not known yet.
    std::uint64_t resolutions = 0;   // Peers asked for their queue pair.
    std::uint64_t group_joins = 0;
    std::uint64_t echoes = 0;       // Own multicasts that came back.
    std::uint64_t queue_pairs = 0;  // Made; more than one: rebuilt after an error.
    std::uint64_t device_losses = 0;
};

struct LinkCounters {
    std::uint64_t packets_sent = 0;  // To each receiver once, whatever the way.
    std::uint64_t bytes_sent = 0;    // With header and tag.
    std::uint64_t packets_received = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t system_calls_sent = 0;
    std::uint64_t system_calls_received = 0;
    std::uint64_t retries = 0;       // The kernel had no room, or told of an older error.
    std::uint64_t not_sent = 0;      // Packets given up; Totem sends them again.
    std::uint64_t too_large = 0;     // Of these, because the path is smaller.
    std::uint64_t receive_lost = 0;  // Packets that the kernel dropped before we read them.
    std::uint64_t path_errors = 0;   // ICMP errors.
    std::uint64_t changes = 0;       // Lost and back.
    std::size_t receive_buffer_bytes = 0;
    std::size_t send_buffer_bytes = 0;
    bool is_usable = true;             // Our address is there and its interface has a carrier.
    std::optional<RdmaCounters> rdma;  // Of a link over an RDMA device.
    DropCounters drops;
};

struct PeerCounters {
    std::uint64_t packets_sent = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t packets_received = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t hellos_sent = 0;
    std::uint64_t hellos_received = 0;
    std::uint64_t lives_proven = 0;  // 1: it never restarted.
    std::uint64_t ports_unreachable = 0;
    DropCounters drops;  // By the sender that the header names: not authentic.
};

// What a link has to say to people: a device that is missing, and that it is back.
struct LinkNotice {
    totem::LinkId link{};
    bool is_usable = false;
    std::string text;  // The reason and what to do; or the device in use.
};

// Lifelines (lifelines.hpp): silent TCP connections with peers.
struct LifelineCounters {
    std::uint64_t made = 0;
    std::uint64_t hung_up = 0;   // Ended without a word.
    std::uint64_t closed = 0;    // Ended for another reason, by either side.
    std::uint64_t not_made = 0;  // Attempts to connect that came to nothing.
    std::uint64_t refused = 0;   // Connections of strangers, and of peers that have enough.
    std::size_t open = 0;
    std::vector<totem::LinkId> not_listening;  // The port is taken.
};

class Transport {
  public:
    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    // Descriptors to watch for reading, level-triggered; the same until configure_peers().
    [[nodiscard]] virtual std::vector<int> descriptors() const = 0;

    // Packets leave in the order of these calls, at the latest with flush(). Before the first
    // UseLink for a peer, or with no link in it, packets go over each of its links.
    virtual void queue(const totem::SendTo& send) = 0;
    virtual void queue(const totem::SendToAll& send) = 0;
    virtual void set_audience(const totem::SetAudience& audience) = 0;
    virtual void use_link(const totem::UseLink& use) = 0;
    virtual void keep_lifelines(base::Instant now, const totem::KeepLifelines& keep) = 0;
    virtual void flush() = 0;

    // Before receive(): what woke us was this descriptor, with an error to be read or without. Not
    // told: receive() looks for packets, and for all else when there are none.
    virtual void woken(int descriptor, bool has_error) = 0;

    // Appends what came: PacketArrived, PacketsArrived, PeerEvidence, PacketBytesChanged. Bounded
    // work; true if there may be more.
    virtual bool receive(base::Instant now, std::vector<totem::Event>& events) = 0;

    // When to call pass_deadline, which appends as receive() does. Ask again after each call.
    [[nodiscard]] virtual base::Instant next_deadline() const = 0;
    virtual void pass_deadline(base::Instant now, std::vector<totem::Event>& events) = 0;

    // Largest packet of the core that every path carries.
    [[nodiscard]] virtual std::size_t packet_bytes_max() const = 0;

    // What links had to say since the last call.
    [[nodiscard]] virtual std::vector<LinkNotice> take_notices() { return {}; }

    // Zeros for links and peers that are not configured.
    [[nodiscard]] virtual LinkCounters link_counters(totem::LinkId link) const = 0;
    [[nodiscard]] virtual PeerCounters peer_counters(base::NodeId peer) const = 0;
    [[nodiscard]] virtual LifelineCounters lifeline_counters() const = 0;
};

}  // namespace transport
