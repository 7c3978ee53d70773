// The 40 bytes in front of each received datagram: who sent it, as far as the network tells.
#pragma once

#include <cstddef>
#include <span>

#include "ringd/transport/socket_address.hpp"

namespace transport {

inline constexpr std::size_t kGrhBytes = 40;

// The sender's host, with port 0. RoCE v2 over IPv4 leaves the IP header in the last 20 bytes; over
// IPv6 all 40 are the IPv6 header. No address for anything else, such as the GIDs of InfiniBand.
[[nodiscard]] SocketAddress source_of(std::span<const std::byte, kGrhBytes> grh, bool is_ethernet);

}  // namespace transport
