#include "ringd/transport/link_watch.hpp"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <array>
#include <cstring>
#include <memory>

namespace transport {

os::Result<LinkWatch> LinkWatch::create() {
    os::UniqueFd netlink(
        ::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!netlink.is_open()) return os::last_error("rtnetlink socket");
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    if (::bind(netlink.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return os::last_error("bind rtnetlink socket");
    }
    return LinkWatch(std::move(netlink));
}

bool LinkWatch::drain() {
    bool any = false;
    std::array<std::byte, 8192> message;
    for (;;) {
        const auto got = ::recv(netlink_.get(), message.data(), message.size(), MSG_DONTWAIT);
        // ENOBUFS: announcements were lost, which announces enough.
        if (got < 0 && errno != ENOBUFS) return any;
        any = true;
    }
}

std::optional<std::vector<bool>> LinkWatch::are_usable(std::span<const SocketAddress> addresses) {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return std::nullopt;
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);

    std::vector<bool> usable(addresses.size(), false);
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
        constexpr unsigned kWorking = IFF_UP | IFF_RUNNING;
        if (entry->ifa_addr == nullptr || (entry->ifa_flags & kWorking) != kWorking) continue;
        const int family = entry->ifa_addr->sa_family;
        sockaddr_storage storage{};
        if (family == AF_INET) {
            std::memcpy(&storage, entry->ifa_addr, sizeof(sockaddr_in));
        } else if (family == AF_INET6) {
            std::memcpy(&storage, entry->ifa_addr, sizeof(sockaddr_in6));
        }
        const auto present = SocketAddress::from(storage);
        if (!present) continue;
        for (std::size_t i = 0; i < addresses.size(); ++i) {
            if (addresses[i].same_host(*present)) usable[i] = true;
        }
    }
    return usable;
}

}  // namespace transport
