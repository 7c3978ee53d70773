// A link over UDP: one socket for unicast, and one that receives from a group if there is one.
#pragma once

#include <memory>

#include "ringd/transport/network_link.hpp"
#include "ringd/transport/udp_socket.hpp"

namespace transport {

struct UdpLinkConfig {
    SocketAddress address;  // Own, with the port.
    // Packets to all go to this group (transport: udp); its port may differ from the address's.
    std::optional<Multicast> multicast;
    std::uint8_t dscp = 0;  // ip_dscp
    int bound_fd = -1;      // A socket bound by somebody else, which is taken over; or -1.
    std::size_t socket_buffer_bytes = std::size_t{8} << 20u;
};

class UdpLink final : public NetworkLink {
  public:
    [[nodiscard]] static os::Result<std::unique_ptr<UdpLink>> open(const UdpLinkConfig& config);

    [[nodiscard]] std::vector<int> descriptors() const override;
    void send(std::span<const Burst> bursts) override { unicast_.send(bursts); }
    bool receive(std::size_t batches, const Take& take) override;
    void read_errors(const std::function<void(const PathError&)>& take) override {
        unicast_.read_errors(take);
    }
    [[nodiscard]] std::optional<std::size_t> path_mtu(const SocketAddress& to) const override;
    [[nodiscard]] const SocketAddress* group() const override {
        return group_ ? &config_.multicast->group : nullptr;
    }
    void add_counters(LinkCounters& counters) const override;

  private:
    UdpLink(const UdpLinkConfig& config, UdpSocket unicast, std::optional<UdpSocket> group)
        : config_(config), unicast_(std::move(unicast)), group_(std::move(group)) {}

    UdpLinkConfig config_;
    UdpSocket unicast_;
    std::optional<UdpSocket> group_;  // Receives what is multicast.
};

}  // namespace transport
