// One link of a node below the secure channel: sealed packets out to addresses, and in from them.
// Over UDP (udp_link.hpp) or an RDMA device (rdma/rdma_link.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/instant.hpp"
#include "ringd/transport/send_memory.hpp"
#include "ringd/transport/socket_address.hpp"
#include "ringd/transport/transport.hpp"

namespace transport {

// Up to kSegmentsMax packets, each but the last `segment_bytes` long, for one receiver.
struct Burst {
    const SocketAddress* to = nullptr;  // Not owned; lives until send() returns.
    std::span<const std::byte> bytes;   // A piece of the send memory, or a part of one.
    std::size_t segment_bytes = 0;
    std::uint64_t end = 0;  // SendMemory::Piece::end of the piece.
};

// UDP_MAX_SEGMENTS of kernels before 6.9, and what fits one IPv4 datagram with its headers.
inline constexpr std::size_t kSegmentsMax = 64;
inline constexpr std::size_t kBurstBytesMax = 65535 - 40 - 8;

[[nodiscard]] constexpr std::size_t segments_of(const Burst& burst) {
    return (burst.bytes.size() + burst.segment_bytes - 1) / burst.segment_bytes;
}

// Packets of one sender that arrived together: each but the last `segment_bytes` long.
struct Arrived {
    SocketAddress from;                // No address (AF_UNSPEC): this network doesn't tell it.
    std::span<const std::byte> bytes;  // Until the next receive().
    std::size_t segment_bytes = 0;
    std::uint32_t endpoint = 0;  // RDMA: the queue pair that sent it.
};

// What ICMP said, or the kernel on its behalf.
struct PathError {
    enum class Kind : std::uint8_t { PortUnreachable, HostUnreachable, TooLarge, Other };
    Kind kind = Kind::Other;
    SocketAddress to;     // Of the packet that failed.
    std::size_t mtu = 0;  // For TooLarge.
};

class NetworkLink {
  public:
    NetworkLink() = default;
    NetworkLink(const NetworkLink&) = delete;
    NetworkLink& operator=(const NetworkLink&) = delete;
    virtual ~NetworkLink() = default;

    // Readable when receive() has something to do; the same as long as the link lives.
    [[nodiscard]] virtual std::vector<int> descriptors() const = 0;

    // This process has given up the privileges that it will not need: a device that is opened now
    // may be used from now on. (The kernel takes commands to an RDMA device only from a process
    // with the privileges with which it opened it.)
    virtual void start(base::Instant /*now*/) {}

    // Whom packets will go to: all that send() may name, but for the group.
    virtual void set_peers(std::span<const SocketAddress> /*peers*/) {}

    // Sends all of it in order, or counts what it gives up: Totem sends again what was lost.
    // Blocks for a few milliseconds at most.
    virtual void send(std::span<const Burst> bursts) = 0;

    // What is sent and still read by the device begins behind this position of the send memory.
    // Nothing: none of it.
    [[nodiscard]] virtual std::optional<std::uint64_t> held_from() { return std::nullopt; }

    // Waits, a few milliseconds at most, until the device is done with some of it.
    virtual void wait_for_sends() {}

    // Calls `take` for what arrived, for at most `batches` looks of a few dozen packets each; true
    // if there may be more.
    using Take = std::function<void(const Arrived&)>;
    virtual bool receive(std::size_t batches, const Take& take) = 0;

    // An authentic packet from `peer` came from this endpoint.
    virtual void heard(const SocketAddress& /*peer*/, std::uint32_t /*endpoint*/) {}

    // Calls `take` for each error that waits.
    virtual void read_errors(const std::function<void(const PathError&)>& /*take*/) {}

    // When to call pass_deadline.
    [[nodiscard]] virtual base::Instant next_deadline() const { return base::Instant::max(); }
    virtual void pass_deadline(base::Instant /*now*/) {}

    // Our end works, as far as the link itself can tell. Whether the address is there is not its
    // concern (link_watch.hpp).
    [[nodiscard]] virtual bool is_usable() const { return true; }

    // Why it can't work at all as things are; empty: it can.
    [[nodiscard]] virtual std::string problem() const { return {}; }

    // The largest IP packet that is believed to reach `to`; nothing if there is no way.
    [[nodiscard]] virtual std::optional<std::size_t> path_mtu(const SocketAddress& to) const = 0;

    // Where packets for all go in one piece; null: to each on its own.
    [[nodiscard]] virtual const SocketAddress* group() const { return nullptr; }
    // The group reaches only peers that have shown it; the others are sent to on their own.
    [[nodiscard]] virtual bool is_group_uncertain() const { return false; }

    // Adds what the link itself counts.
    virtual void add_counters(LinkCounters& counters) const = 0;

    // What people should know, since the last call; at most a few.
    [[nodiscard]] virtual std::vector<LinkNotice> take_notices() { return {}; }
};

}  // namespace transport
