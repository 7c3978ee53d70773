// One UDP socket: bursts of equal packets out and in with few system calls (UDP_SEGMENT, UDP_GRO,
// sendmmsg, recvmmsg), never an IP fragment, and what ICMP says about the other end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"
#include "ringd/transport/network_link.hpp"
#include "ringd/transport/socket_address.hpp"

namespace transport {

struct Multicast {
    SocketAddress group;
    std::uint8_t ttl = 1;
};

struct UdpSocketConfig {
    SocketAddress address;               // Own address and port; the host need not have it yet.
    std::optional<Multicast> multicast;  // The socket receives from this group only.
    std::uint8_t dscp = 0;               // 0 to 63.
    std::size_t buffer_bytes = std::size_t{8} << 20u;  // For each direction.
};

struct UdpSocketCounters {
    std::uint64_t system_calls_sent = 0;
    std::uint64_t system_calls_received = 0;
    std::uint64_t retries = 0;       // The kernel had no room, or told of an older error.
    std::uint64_t not_sent = 0;      // Packets given up.
    std::uint64_t too_large = 0;     // Of these, because the path is smaller.
    std::uint64_t receive_lost = 0;  // Packets that the kernel dropped: its buffer was full.
};

class UdpSocket {
  public:
    [[nodiscard]] static os::Result<UdpSocket> open(const UdpSocketConfig& config);

    // Where a socket is bound; nothing if it is no UDP socket of either family.
    [[nodiscard]] static std::optional<SocketAddress> address_of(int fd);

    // Takes over a socket that somebody else bound, to set all else on it.
    [[nodiscard]] static os::Result<UdpSocket> adopt(os::UniqueFd bound,
                                                     const UdpSocketConfig& config);

    // From now on what is sent to a multicast group leaves by the interface of our address.
    [[nodiscard]] os::Result<void> send_to_groups(std::uint8_t ttl);

    // Sends all of it in order, or counts what it gives up: Totem sends again what was lost. Waits
    // for room in the socket's buffer for a few milliseconds at most.
    void send(std::span<const Burst> bursts);

    // Calls `take` for what arrived, for at most `batches` system calls; true if there may be more.
    using Take = NetworkLink::Take;
    bool receive(std::size_t batches, const Take& take);

    // Calls `take` for each error that waits.
    void read_errors(const std::function<void(const PathError&)>& take);

    // The largest IP packet that the kernel believes to reach `to`; nothing if there is no route.
    [[nodiscard]] std::optional<std::size_t> path_mtu(const SocketAddress& to) const;

    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] const SocketAddress& address() const { return address_; }
    [[nodiscard]] const UdpSocketCounters& counters() const { return counters_; }
    [[nodiscard]] std::size_t receive_buffer_bytes() const { return receive_buffer_bytes_; }
    [[nodiscard]] std::size_t send_buffer_bytes() const { return send_buffer_bytes_; }
    [[nodiscard]] bool has_segmentation() const { return has_segmentation_; }

  private:
    explicit UdpSocket(os::UniqueFd fd) : fd_(std::move(fd)) {}
    os::Result<void> set_options(const UdpSocketConfig& config);
    os::Result<void> join(const UdpSocketConfig& config);
    std::size_t send_some(std::span<const Burst> bursts);
    void send_segments(const Burst& burst);
    [[nodiscard]] bool wait_for_room();

    os::UniqueFd fd_;
    SocketAddress address_;
    UdpSocketCounters counters_;
    std::size_t receive_buffer_bytes_ = 0;
    std::size_t send_buffer_bytes_ = 0;
    bool has_segmentation_ = true;
    bool is_busy_ = false;  // The last read brought many.
    std::uint32_t kernel_drops_ = 0;
    std::vector<std::byte> receive_memory_;
};

}  // namespace transport
