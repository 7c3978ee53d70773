// CRC-32C (Castagnoli; RFC 3720 appendix B.4): the checksum of packets that are not sealed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace transport {

// Of `bytes`, going on from `before`, the checksum of what came before them (0: nothing).
[[nodiscard]] std::uint32_t crc32c(std::uint32_t before, std::span<const std::byte> bytes);

}  // namespace transport
