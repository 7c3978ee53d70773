// What a supervisor sends when ringd is dead: a packet that ringd sealed while it lived, and where
// to. The supervisor holds no key; whoever gets hold of these bytes can end this one life of this
// one node in the eyes of its peers, and nothing else.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "ringd/transport/socket_address.hpp"

namespace transport {

struct Obituary {
    struct Path {
        SocketAddress from;  // Peers drop what comes from another host.
        SocketAddress to;

        friend bool operator==(const Path&, const Path&) = default;
    };
    std::vector<std::byte> packet;
    std::vector<Path> paths;

    friend bool operator==(const Obituary&, const Obituary&) = default;
};

// 512 nodes on 8 links.
inline constexpr std::size_t kObituaryPathsMax = 4096;

// To hand over in a file or memfd. Nothing: `bytes` is none.
[[nodiscard]] std::vector<std::byte> encode_obituary(const Obituary& obituary);
[[nodiscard]] std::optional<Obituary> decode_obituary(std::span<const std::byte> bytes);

// Sends it on every path, `copies` times as any packet may be lost; gives how many were sent.
std::size_t send_obituary(const Obituary& obituary, int copies);

}  // namespace transport
