// An IPv4 or IPv6 address with a UDP port, as the kernel takes it.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

namespace transport {

class SocketAddress {
  public:
    SocketAddress() = default;  // No address: family() is AF_UNSPEC.

    // Numeric only ("192.0.2.1", "fe80::1%eth0"): names are the configuration's to resolve.
    [[nodiscard]] static std::optional<SocketAddress> parse(const std::string& text,
                                                            std::uint16_t port);
    // What the kernel filled in; nothing for other families.
    [[nodiscard]] static std::optional<SocketAddress> from(const sockaddr_storage& storage);

    [[nodiscard]] int family() const { return storage_.any.sa_family; }
    [[nodiscard]] bool is_ipv6() const { return family() == AF_INET6; }
    [[nodiscard]] bool is_multicast() const;
    [[nodiscard]] std::uint16_t port() const;
    [[nodiscard]] SocketAddress with_port(std::uint16_t port) const;
    [[nodiscard]] const sockaddr* data() const { return &storage_.any; }
    [[nodiscard]] socklen_t size() const;
    [[nodiscard]] const sockaddr_in& ipv4() const { return storage_.v4; }
    [[nodiscard]] const sockaddr_in6& ipv6() const { return storage_.v6; }

    // IP and UDP headers of a packet to it.
    [[nodiscard]] std::size_t header_bytes() const { return is_ipv6() ? 40 + 8 : 20 + 8; }

    [[nodiscard]] bool same_host(const SocketAddress& other) const;  // Whatever the ports.
    friend bool operator==(const SocketAddress& left, const SocketAddress& right) {
        return left.same_host(right) && left.port() == right.port();
    }

    [[nodiscard]] std::string text() const;  // "192.0.2.1:5405", "[2001:db8::1]:5405"

  private:
    union {
        sockaddr any;
        sockaddr_in v4;
        sockaddr_in6 v6{};
    } storage_;
};

}  // namespace transport
