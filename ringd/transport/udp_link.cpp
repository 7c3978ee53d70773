#include "ringd/transport/udp_link.hpp"

#include <algorithm>

namespace transport {

os::Result<std::unique_ptr<UdpLink>> UdpLink::open(const UdpLinkConfig& config) {
    const UdpSocketConfig unicast{.address = config.address,
                                  .multicast = std::nullopt,
                                  .dscp = config.dscp,
                                  .buffer_bytes = config.socket_buffer_bytes};
    auto socket = config.bound_fd >= 0 ? UdpSocket::adopt(os::UniqueFd(config.bound_fd), unicast)
                                       : UdpSocket::open(unicast);
    if (!socket) return base::fail(socket.error());
    std::optional<UdpSocket> group;
    if (config.multicast) {
        if (auto done = socket->send_to_groups(config.multicast->ttl); !done) {
            return base::fail(done.error());
        }
        UdpSocketConfig receiving = unicast;
        receiving.multicast = config.multicast;
        auto opened = UdpSocket::open(receiving);
        if (!opened) return base::fail(opened.error());
        group = std::move(*opened);
    }
    return std::unique_ptr<UdpLink>(new UdpLink(config, std::move(*socket), std::move(group)));
}

std::vector<int> UdpLink::descriptors() const {
    std::vector<int> descriptors{unicast_.fd()};
    if (group_) descriptors.push_back(group_->fd());
    return descriptors;
}

bool UdpLink::receive(std::size_t batches, const Take& take) {
    bool more = unicast_.receive(batches, take);
    if (group_) more |= group_->receive(batches, take);
    return more;
}

std::optional<std::size_t> UdpLink::path_mtu(const SocketAddress& to) const {
    auto mtu = unicast_.path_mtu(to);
    if (mtu && group_) {
        const auto group = unicast_.path_mtu(config_.multicast->group);
        if (group) mtu = std::min(*mtu, *group);
    }
    return mtu;
}

void UdpLink::add_counters(LinkCounters& counters) const {
    for (const UdpSocket* socket : {&unicast_, group_ ? &*group_ : nullptr}) {
        if (socket == nullptr) continue;
        const UdpSocketCounters& own = socket->counters();
        counters.system_calls_sent += own.system_calls_sent;
        counters.system_calls_received += own.system_calls_received;
        counters.retries += own.retries;
        counters.not_sent += own.not_sent;
        counters.too_large += own.too_large;
        counters.receive_lost += own.receive_lost;
    }
    counters.receive_buffer_bytes = unicast_.receive_buffer_bytes();
    counters.send_buffer_bytes = unicast_.send_buffer_bytes();
}

}  // namespace transport
