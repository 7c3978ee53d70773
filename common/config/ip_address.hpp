// An IPv4 or IPv6 address without port.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace config {

class IpAddress {
  public:
    enum class Family : std::uint8_t { V4, V6 };

    // Reads the numeric forms, "192.0.2.1", "2001:db8::1", "fe80::1%eth0". Nothing for all else,
    // host names included.
    static std::optional<IpAddress> parse(std::string_view text);

    // Nothing when it is of another family than IPv4 and IPv6.
    static std::optional<IpAddress> from(const sockaddr& address);

    [[nodiscard]] Family family() const { return family_; }
    [[nodiscard]] bool is_multicast() const;
    [[nodiscard]] std::string text() const;

    // For bind, sendto and the like.
    [[nodiscard]] sockaddr_storage with_port(std::uint16_t port) const;

    // An IPv4 address as a number, host byte order; 0 for IPv6.
    [[nodiscard]] std::uint32_t v4_number() const;

    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

  private:
    Family family_ = Family::V4;
    std::array<std::uint8_t, 16> bytes_{};  // Network byte order; IPv4 uses the first four.
    std::uint32_t scope_ = 0;               // Interface of a link-local IPv6 address, else 0.
};

}  // namespace config
