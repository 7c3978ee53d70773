#include "ringd/transport/socket_address.hpp"

#include <arpa/inet.h>
#include <netdb.h>

#include <array>
#include <cstring>

namespace transport {

std::optional<SocketAddress> SocketAddress::parse(const std::string& text, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST;
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(text.c_str(), nullptr, &hints, &found) != 0) return std::nullopt;
    sockaddr_storage storage{};
    std::memcpy(&storage, found->ai_addr, found->ai_addrlen);
    ::freeaddrinfo(found);
    const auto address = from(storage);
    if (!address) return std::nullopt;
    return address->with_port(port);
}

std::optional<SocketAddress> SocketAddress::from(const sockaddr_storage& storage) {
    SocketAddress address;
    if (storage.ss_family == AF_INET) {
        std::memcpy(&address.storage_.v4, &storage, sizeof address.storage_.v4);
    } else if (storage.ss_family == AF_INET6) {
        std::memcpy(&address.storage_.v6, &storage, sizeof address.storage_.v6);
    } else {
        return std::nullopt;
    }
    return address;
}

bool SocketAddress::is_multicast() const {
    return is_ipv6() ? IN6_IS_ADDR_MULTICAST(&storage_.v6.sin6_addr) != 0
                     : IN_MULTICAST(ntohl(storage_.v4.sin_addr.s_addr)) != 0;
}

std::uint16_t SocketAddress::port() const {
    return ntohs(is_ipv6() ? storage_.v6.sin6_port : storage_.v4.sin_port);
}

SocketAddress SocketAddress::with_port(std::uint16_t port) const {
    SocketAddress address = *this;
    if (is_ipv6()) {
        address.storage_.v6.sin6_port = htons(port);
    } else {
        address.storage_.v4.sin_port = htons(port);
    }
    return address;
}

socklen_t SocketAddress::size() const {
    return is_ipv6() ? sizeof storage_.v6 : sizeof storage_.v4;
}

bool SocketAddress::same_host(const SocketAddress& other) const {
    if (family() != other.family()) return false;
    if (is_ipv6()) {
        return std::memcmp(&storage_.v6.sin6_addr, &other.storage_.v6.sin6_addr,
                           sizeof storage_.v6.sin6_addr) == 0;
    }
    return storage_.v4.sin_addr.s_addr == other.storage_.v4.sin_addr.s_addr;
}

std::string SocketAddress::text() const {
    std::array<char, INET6_ADDRSTRLEN> name{};
    if (is_ipv6()) {
        ::inet_ntop(AF_INET6, &storage_.v6.sin6_addr, name.data(), name.size());
        return "[" + std::string(name.data()) + "]:" + std::to_string(port());
    }
    ::inet_ntop(AF_INET, &storage_.v4.sin_addr, name.data(), name.size());
    return std::string(name.data()) + ":" + std::to_string(port());
}

}  // namespace transport
