#include "ringd/totem/wire.hpp"

#include <bit>

#include "common/base/invariant.hpp"
#include "ringd/totem/row.hpp"

namespace totem {
namespace {

constexpr std::uint32_t kBlockNodes = 64;
constexpr std::size_t kBlockBytes = 12;

std::size_t block_count(const NodeSet& nodes) {
    std::size_t blocks = 0;
    std::uint64_t last = UINT64_MAX;
    for (const base::NodeId node : nodes) {
        const std::uint64_t block = node.value() / kBlockNodes;
        if (block != last) ++blocks;
        last = block;
    }
    return blocks;
}

}  // namespace

std::optional<PacketType> type_of(std::span<const std::byte> packet) {
    if (packet.size() < kPacketHeadBytes) return std::nullopt;
    const auto type = std::to_integer<std::uint8_t>(packet[0]);
    if (type == 0 || type >= kPacketTypes) return std::nullopt;
    return static_cast<PacketType>(type);
}

base::Expected<std::uint16_t, WireError> read_head(base::ByteReader& reader, PacketType type) {
    const auto got = reader.read<std::uint8_t>();
    const auto version = reader.read<std::uint8_t>();
    const auto rest = reader.read<std::uint16_t>();
    if (!reader.ok()) return base::fail(WireError::Truncated);
    if (got != static_cast<std::uint8_t>(type) || version != kWireVersion) {
        return base::fail(WireError::WrongType);
    }
    return rest;
}

void write_head(base::ByteWriter& writer, PacketType type, std::uint16_t rest) {
    writer.write(static_cast<std::uint8_t>(type));
    writer.write(kWireVersion);
    writer.write(rest);
}

base::RingId read_ring(base::ByteReader& reader) {
    base::RingId ring;
    ring.representative = base::NodeId{reader.read<std::uint32_t>()};
    ring.seq = reader.read<std::uint64_t>();
    return ring;
}

void write_ring(base::ByteWriter& writer, const base::RingId& ring) {
    writer.write(ring.representative.value());
    writer.write(ring.seq);
}

Incarnation read_incarnation(base::ByteReader& reader) {
    Incarnation incarnation;
    incarnation.ring_seq = reader.read<std::uint64_t>();
    incarnation.started_ns = reader.read<std::uint64_t>();
    return incarnation;
}

void write_incarnation(base::ByteWriter& writer, const Incarnation& incarnation) {
    writer.write(incarnation.ring_seq);
    writer.write(incarnation.started_ns);
}

base::Expected<NodeSet, WireError> read_nodes(base::ByteReader& reader) {
    const auto blocks = reader.read<std::uint16_t>();
    if (!reader.ok()) return base::fail(WireError::Truncated);
    if (blocks > kNodesMax) return base::fail(WireError::OutOfRange);
    if (reader.remaining() < blocks * kBlockBytes) return base::fail(WireError::Truncated);

    NodeSet nodes;
    std::int64_t last = -1;
    for (std::uint16_t i = 0; i < blocks; ++i) {
        const auto block = reader.read<std::uint32_t>();
        auto bits = reader.read<std::uint64_t>();
        if (std::int64_t{block} <= last) return base::fail(WireError::NotAscending);
        last = block;
        const bool has_no_node = block == 0 && (bits & 1u) != 0;
        if (bits == 0 || has_no_node || block > UINT32_MAX / kBlockNodes) {
            return base::fail(WireError::OutOfRange);
        }
        for (; bits != 0; bits &= bits - 1) {
            if (nodes.size() == kNodesMax) return base::fail(WireError::OutOfRange);
            const auto bit = static_cast<std::uint32_t>(std::countr_zero(bits));
            nodes.insert(base::NodeId{block * kBlockNodes + bit});
        }
    }
    return nodes;
}

void write_nodes(base::ByteWriter& writer, const NodeSet& nodes) {
    INVARIANT(nodes.size() <= kNodesMax);
    writer.write(static_cast<std::uint16_t>(block_count(nodes)));
    for (auto node = nodes.begin(); node != nodes.end();) {
        INVARIANT(*node != base::kNoNode);
        const std::uint32_t block = node->value() / kBlockNodes;
        std::uint64_t bits = 0;
        for (; node != nodes.end() && node->value() / kBlockNodes == block; ++node) {
            bits |= std::uint64_t{1} << (node->value() % kBlockNodes);
        }
        writer.write(block);
        writer.write(bits);
    }
}

std::size_t nodes_bytes(const NodeSet& nodes) {
    return sizeof(std::uint16_t) + block_count(nodes) * kBlockBytes;
}

}  // namespace totem
