#include "ringd/transport/packet_header.hpp"

#include "common/base/bytes.hpp"
#include "common/base/invariant.hpp"

namespace transport {
namespace {

constexpr std::uint16_t kMagic = 0x4c48;  // "HL"
constexpr std::uint8_t kWireVersion = 1;

bool is_suite(std::uint8_t value) {
    return value <= static_cast<std::uint8_t>(Suite::ChaCha20Poly1305);
}

bool is_kind(std::uint8_t value) {
    return value >= static_cast<std::uint8_t>(PacketKind::Data) &&
           value <= static_cast<std::uint8_t>(PacketKind::Probe);
}

}  // namespace

base::Expected<PacketHeader, DropCause> decode_header(std::span<const std::byte> packet) {
    base::ByteReader reader(packet);
    PacketHeader header;
    const auto magic = reader.read<std::uint16_t>();
    const auto version = reader.read<std::uint8_t>();
    const auto suite_and_kind = reader.read<std::uint8_t>();
    header.key_id = reader.read<std::uint32_t>();
    header.sender = base::NodeId{reader.read<std::uint32_t>()};
    header.link = reader.read<std::uint8_t>();
    const auto reserved = reader.read<std::uint8_t>();
    header.payload_bytes = reader.read<std::uint16_t>();
    header.incarnation = reader.read<std::uint64_t>();
    header.counter = reader.read<std::uint64_t>();
    if (!reader.ok() || reader.remaining() < kTagBytes) return base::fail(DropCause::Truncated);

    const auto suite = static_cast<std::uint8_t>(suite_and_kind >> 4u);
    const auto kind = static_cast<std::uint8_t>(suite_and_kind & 0x0fu);
    if (magic != kMagic || version != kWireVersion || reserved != 0 || !is_suite(suite) ||
        !is_kind(kind) || header.sender == base::kNoNode) {
        return base::fail(DropCause::NotOurs);
    }
    if (header.payload_bytes > packet.size() - kOverheadBytes) {
        return base::fail(DropCause::Truncated);
    }
    header.suite = static_cast<Suite>(suite);
    header.kind = static_cast<PacketKind>(kind);
    return header;
}

void encode_header(const PacketHeader& header, std::span<std::byte> out) {
    INVARIANT(out.size() >= kHeaderBytes);
    INVARIANT(header.sender != base::kNoNode);

    base::ByteWriter writer(out);
    writer.write(kMagic);
    writer.write(kWireVersion);
    writer.write(static_cast<std::uint8_t>(static_cast<unsigned>(header.suite) << 4u |
                                           static_cast<unsigned>(header.kind)));
    writer.write(header.key_id);
    writer.write(header.sender.value());
    writer.write(header.link);
    writer.write(std::uint8_t{0});  // Reserved.
    writer.write(header.payload_bytes);
    writer.write(header.incarnation);
    writer.write(header.counter);
    INVARIANT(writer.written() == kHeaderBytes);
}

}  // namespace transport
