#include "ringd/transport/obituary.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/base/bytes.hpp"
#include "common/base/invariant.hpp"
#include "common/os/unique_fd.hpp"
#include "ringd/transport/packet_header.hpp"

namespace transport {
namespace {

constexpr std::uint32_t kMagic = 0x54494248;  // "HBIT"
constexpr std::size_t kAddressBytes = 2 + 2 + 4 + 16;
constexpr std::size_t kFrontBytes = 12;

void write_address(base::ByteWriter& writer, const SocketAddress& address) {
    std::array<std::uint8_t, 16> host{};
    std::uint32_t scope = 0;
    if (address.is_ipv6()) {
        std::memcpy(host.data(), &address.ipv6().sin6_addr, 16);
        scope = address.ipv6().sin6_scope_id;
    } else {
        std::memcpy(host.data(), &address.ipv4().sin_addr, 4);
    }
    writer.write(static_cast<std::uint16_t>(address.is_ipv6() ? 6 : 4));
    writer.write(address.port());
    writer.write(scope);
    for (const std::uint8_t byte : host) {
        writer.write(byte);
    }
}

std::optional<SocketAddress> read_address(base::ByteReader& reader) {
    const auto version = reader.read<std::uint16_t>();
    const auto port = reader.read<std::uint16_t>();
    const auto scope = reader.read<std::uint32_t>();
    std::array<std::uint8_t, 16> host{};
    for (std::uint8_t& byte : host) {
        byte = reader.read<std::uint8_t>();
    }
    sockaddr_storage storage{};
    if (version == 6) {
        sockaddr_in6 address{};
        address.sin6_family = AF_INET6;
        address.sin6_scope_id = scope;
        std::memcpy(&address.sin6_addr, host.data(), 16);
        std::memcpy(&storage, &address, sizeof address);
    } else if (version == 4) {
        const bool rest_is_zero =
            std::all_of(host.begin() + 4, host.end(), [](std::uint8_t byte) { return byte == 0; });
        if (scope != 0 || !rest_is_zero) return std::nullopt;
        sockaddr_in address{};
        address.sin_family = AF_INET;
        std::memcpy(&address.sin_addr, host.data(), 4);
        std::memcpy(&storage, &address, sizeof address);
    } else {
        return std::nullopt;
    }
    return SocketAddress::from(storage)->with_port(port);
}

}  // namespace

std::vector<std::byte> encode_obituary(const Obituary& obituary) {
    INVARIANT(obituary.packet.size() >= kOverheadBytes);
    INVARIANT(obituary.paths.size() <= kObituaryPathsMax);
    std::vector<std::byte> bytes(kFrontBytes + obituary.packet.size() +
                                 obituary.paths.size() * 2 * kAddressBytes);
    base::ByteWriter writer(bytes);
    writer.write(kMagic);
    writer.write(static_cast<std::uint32_t>(obituary.packet.size()));
    writer.write(static_cast<std::uint32_t>(obituary.paths.size()));
    for (const std::byte byte : obituary.packet) {
        writer.write(std::to_integer<std::uint8_t>(byte));
    }
    for (const Obituary::Path& path : obituary.paths) {
        write_address(writer, path.from);
        write_address(writer, path.to);
    }
    INVARIANT(writer.written() == bytes.size());
    return bytes;
}

std::optional<Obituary> decode_obituary(std::span<const std::byte> bytes) {
    base::ByteReader reader(bytes);
    const auto magic = reader.read<std::uint32_t>();
    const auto packet_bytes = reader.read<std::uint32_t>();
    const auto paths = reader.read<std::uint32_t>();
    if (!reader.ok() || magic != kMagic || paths > kObituaryPathsMax ||
        packet_bytes < kOverheadBytes || packet_bytes > 65535 ||
        reader.remaining() != packet_bytes + std::size_t{paths} * 2 * kAddressBytes) {
        return std::nullopt;
    }
    Obituary obituary;
    const auto packet = bytes.subspan(kFrontBytes, packet_bytes);
    obituary.packet.assign(packet.begin(), packet.end());
    base::ByteReader rest(bytes.subspan(kFrontBytes + packet_bytes));
    for (std::uint32_t i = 0; i < paths; ++i) {
        const auto from = read_address(rest);
        const auto to = read_address(rest);
        if (!from || !to) return std::nullopt;
        obituary.paths.push_back({.from = *from, .to = *to});
    }
    return obituary;
}

std::size_t send_obituary(const Obituary& obituary, int copies) {
    std::size_t sent = 0;
    for (const Obituary::Path& path : obituary.paths) {
        const os::UniqueFd socket(
            ::socket(path.to.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        // A dead ringd's port may be taken over by its successor: any port of the host will do.
        const SocketAddress from = path.from.with_port(0);
        if (!socket.is_open() || ::bind(socket.get(), from.data(), from.size()) != 0) continue;
        for (int copy = 0; copy < copies; ++copy) {
            const auto length =
                ::sendto(socket.get(), obituary.packet.data(), obituary.packet.size(), MSG_DONTWAIT,
                         path.to.data(), path.to.size());
            if (length == static_cast<ssize_t>(obituary.packet.size())) ++sent;
        }
    }
    return sent;
}

}  // namespace transport
