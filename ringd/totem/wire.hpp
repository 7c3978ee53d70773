// What all packets of the ring share: the first four bytes, and how ring ids and sets of nodes lie
// in a packet. Layouts: docs/wire-format-ring.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/base/bytes.hpp"
#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "ringd/totem/node_set.hpp"

namespace totem {

enum class PacketType : std::uint8_t {
    Token = 1,
    Data = 2,
    Join = 3,
    CommitToken = 4,
    RecoveryToken = 5,
    Heartbeat = 6,
    TokenRequest = 7,
    TokenSeen = 8,
    Leave = 9,
    Part = 10,
};
inline constexpr std::size_t kPacketTypes = 11;  // Counting from 0, which none has.

// As it stands in the names of counters.
constexpr std::string_view name_of(PacketType type) {
    constexpr std::array<std::string_view, kPacketTypes> kNames{
        "none",      "token",         "data",       "join",  "commit_token", "recovery_token",
        "heartbeat", "token_request", "token_seen", "leave", "part"};
    return kNames[static_cast<std::size_t>(type)];
}

// A peer of another version is not understood, hence not heard: version 2 will have to be spoken
// beside 1 for as long as a rolling upgrade lasts. What can differ within a version is a feature
// bit, agreed in the commit token.
inline constexpr std::uint8_t kWireVersion = 1;

enum class WireError : std::uint8_t {
    Truncated,      // Shorter than the header, or than what it announces.
    TrailingBytes,  // Longer than it says.
    WrongType,      // Not this type, or a version that we don't speak.
    OutOfRange,     // A field breaks an invariant, a count its bound, or a reserved bit is set.
    NotAscending,   // A list is unsorted or names something twice.
};

// None: not a packet of ours.
[[nodiscard]] std::optional<PacketType> type_of(std::span<const std::byte> packet);

// Type, version, and 16 bits that belong to the type.
inline constexpr std::size_t kPacketHeadBytes = 4;
[[nodiscard]] base::Expected<std::uint16_t, WireError> read_head(base::ByteReader& reader,
                                                                 PacketType type);
void write_head(base::ByteWriter& writer, PacketType type, std::uint16_t rest);

inline constexpr std::size_t kRingIdBytes = 12;
[[nodiscard]] base::RingId read_ring(base::ByteReader& reader);
void write_ring(base::ByteWriter& writer, const base::RingId& ring);

struct Incarnation;
inline constexpr std::size_t kIncarnationBytes = 16;
[[nodiscard]] Incarnation read_incarnation(base::ByteReader& reader);
void write_incarnation(base::ByteWriter& writer, const Incarnation& incarnation);

// A set travels as ascending blocks of 64 ids, each a number and a bitmap: the ids 1 to 512 are 9
// blocks, 108 bytes.
[[nodiscard]] base::Expected<NodeSet, WireError> read_nodes(base::ByteReader& reader);
void write_nodes(base::ByteWriter& writer, const NodeSet& nodes);
[[nodiscard]] std::size_t nodes_bytes(const NodeSet& nodes);

}  // namespace totem
