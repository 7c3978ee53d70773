// The fixed header of every packet on the network: the only bytes that are read before the packet
// is known to be authentic. Layout: docs/wire-format-transport.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "ringd/transport/drop_cause.hpp"

namespace transport {

// How packets are sealed. `None` keeps header, replay window and handshake, and has a checksum in
// place of the tag: it guards against accidents, not against anybody.
enum class Suite : std::uint8_t { None = 0, Aes256Gcm = 1, ChaCha20Poly1305 = 2 };

enum class PacketKind : std::uint8_t {
    Data = 1,      // A packet of the Totem core.
    Hello = 2,     // Proves that a life is the present one.
    Obituary = 3,  // Says that the life that sealed it is over.
    Probe = 4,     // Filled up to a size: does the path carry it?
};

// A packet with this link may arrive on any: one sealing then serves several paths.
inline constexpr std::uint8_t kAnyLink = 0xff;

struct PacketHeader {
    Suite suite = Suite::Aes256Gcm;
    PacketKind kind = PacketKind::Data;
    std::uint32_t key_id = 0;  // Names the cluster key, so that a foreign one is told from noise.
    base::NodeId sender{};
    std::uint8_t link = kAnyLink;
    std::uint16_t payload_bytes = 0;  // Without the padding behind it.
    std::uint64_t incarnation = 0;    // Life of the sender.
    std::uint64_t counter = 0;        // Of the packets of this life; never used twice.

    friend bool operator==(const PacketHeader&, const PacketHeader&) = default;
};

inline constexpr std::size_t kHeaderBytes = 32;
inline constexpr std::size_t kTagBytes = 16;
inline constexpr std::size_t kOverheadBytes = kHeaderBytes + kTagBytes;

// Gives the header of a packet that is long enough for what the header says: Truncated or NotOurs
// otherwise. Works on any input.
[[nodiscard]] base::Expected<PacketHeader, DropCause> decode_header(
    std::span<const std::byte> packet);

// Writes the header to the front of `out`. Needs: out.size() >= kHeaderBytes, a sender.
void encode_header(const PacketHeader& header, std::span<std::byte> out);

}  // namespace transport
