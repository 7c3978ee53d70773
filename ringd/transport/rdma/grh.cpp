#include "ringd/transport/rdma/grh.hpp"

#include <cstring>

namespace transport {
namespace {

constexpr std::size_t kIpv4At = 20;
constexpr std::size_t kIpv4SourceAt = kIpv4At + 12;
constexpr std::size_t kIpv6SourceAt = 8;

unsigned version_at(std::span<const std::byte, kGrhBytes> grh, std::size_t at) {
    return static_cast<unsigned>(grh[at]) >> 4u;
}

}  // namespace

SocketAddress source_of(std::span<const std::byte, kGrhBytes> grh, bool is_ethernet) {
    if (!is_ethernet) return {};
    sockaddr_storage storage{};
    if (version_at(grh, 0) == 6) {
        sockaddr_in6 address{};
        address.sin6_family = AF_INET6;
        std::memcpy(&address.sin6_addr, &grh[kIpv6SourceAt], sizeof address.sin6_addr);
        std::memcpy(&storage, &address, sizeof address);
    } else if (version_at(grh, kIpv4At) == 4) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        std::memcpy(&address.sin_addr, &grh[kIpv4SourceAt], sizeof address.sin_addr);
        std::memcpy(&storage, &address, sizeof address);
    } else {
        return {};
    }
    return SocketAddress::from(storage).value_or(SocketAddress{});
}

}  // namespace transport
