#include "common/config/ip_address.hpp"

#include <arpa/inet.h>
#include <net/if.h>

#include <cstring>

namespace config {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    IpAddress address;
    const std::size_t percent = text.find('%');
    const std::string number(text.substr(0, percent));
    if (::inet_pton(AF_INET, number.c_str(), address.bytes_.data()) == 1) {
        if (percent != std::string_view::npos) return std::nullopt;
        return address;
    }
    address.family_ = Family::V6;
    if (::inet_pton(AF_INET6, number.c_str(), address.bytes_.data()) != 1) return std::nullopt;
    if (percent != std::string_view::npos) {
        address.scope_ = ::if_nametoindex(std::string(text.substr(percent + 1)).c_str());
        if (address.scope_ == 0) return std::nullopt;
    }
    return address;
}

std::optional<IpAddress> IpAddress::from(const sockaddr& address) {
    IpAddress result;
    if (address.sa_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof(v4));
        std::memcpy(result.bytes_.data(), &v4.sin_addr, sizeof(v4.sin_addr));
        return result;
    }
    if (address.sa_family != AF_INET6) return std::nullopt;
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof(v6));
    result.family_ = Family::V6;
    std::memcpy(result.bytes_.data(), &v6.sin6_addr, sizeof(v6.sin6_addr));
    result.scope_ = v6.sin6_scope_id;
    return result;
}

bool IpAddress::is_multicast() const {
    return family_ == Family::V4 ? (bytes_[0] & 0xf0u) == 0xe0u : bytes_[0] == 0xffu;
}

std::string IpAddress::text() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = family_ == Family::V4 ? AF_INET : AF_INET6;
    // The buffer fits every address: no failure.
    (void)::inet_ntop(family, bytes_.data(), text.data(), text.size());
    return text.data();
}

sockaddr_storage IpAddress::with_port(std::uint16_t port) const {
    sockaddr_storage storage{};
    if (family_ == Family::V4) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        std::memcpy(&v4.sin_addr, bytes_.data(), sizeof(v4.sin_addr));
        std::memcpy(&storage, &v4, sizeof(v4));
        return storage;
    }
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_scope_id = scope_;
    std::memcpy(&v6.sin6_addr, bytes_.data(), sizeof(v6.sin6_addr));
    std::memcpy(&storage, &v6, sizeof(v6));
    return storage;
}

std::uint32_t IpAddress::v4_number() const {
    if (family_ != Family::V4) return 0;
    return std::uint32_t{bytes_[0]} << 24u | std::uint32_t{bytes_[1]} << 16u |
           std::uint32_t{bytes_[2]} << 8u | std::uint32_t{bytes_[3]};
}

}  // namespace config
