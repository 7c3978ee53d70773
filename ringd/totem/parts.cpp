#include "ringd/totem/parts.hpp"

#include <algorithm>
#include <cstring>

#include "common/base/invariant.hpp"

namespace totem {

base::Expected<Part, WireError> decode_part(const base::Buffer& packet) {
    base::ByteReader reader(packet.bytes());
    const auto index = read_head(reader, PacketType::Part);
    if (!index) return base::fail(index.error());
    Part part;
    part.index = *index;
    part.count = reader.read<std::uint16_t>();
    const auto reserved = reader.read<std::uint16_t>();
    part.id = reader.read<std::uint32_t>();
    if (!reader.ok() || reader.remaining() == 0) return base::fail(WireError::Truncated);
    if (part.count < 2 || part.count > kPartsMax || part.index >= part.count || reserved != 0) {
        return base::fail(WireError::OutOfRange);
    }
    part.payload = packet.slice(kPartHeaderBytes);
    return part;
}

base::Buffer encode_part(const Part& part) {
    INVARIANT(part.count >= 2);
    INVARIANT(part.count <= kPartsMax);
    INVARIANT(part.index < part.count);
    INVARIANT(!part.payload.empty());
    base::MutableBuffer packet(kPartHeaderBytes + part.payload.size());
    base::ByteWriter writer(packet.bytes());
    write_head(writer, PacketType::Part, part.index);
    writer.write(part.count);
    writer.write(std::uint16_t{0});  // Reserved.
    writer.write(part.id);
    INVARIANT(writer.written() == kPartHeaderBytes);
    std::memcpy(packet.data() + kPartHeaderBytes, part.payload.data(), part.payload.size());
    return std::move(packet).freeze();
}

void split_into_parts(const base::Buffer& message, std::uint32_t id, std::size_t packet_bytes_max,
                      std::vector<base::Buffer>& out) {
    if (message.size() <= packet_bytes_max) {
        out.push_back(message);
        return;
    }
    INVARIANT(message.size() <= kAssembledBytesMax);
    INVARIANT(packet_bytes_max >= kPartedPacketBytesMin);
    const std::size_t piece = packet_bytes_max - kPartHeaderBytes;
    const std::size_t count = (message.size() + piece - 1) / piece;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = i * piece;
        out.push_back(
            encode_part({.id = id,
                         .index = static_cast<std::uint16_t>(i),
                         .count = static_cast<std::uint16_t>(count),
                         .payload = message.slice(at, std::min(piece, message.size() - at))}));
    }
}

std::optional<base::Buffer> PartAssembly::add(const Part& part) {
    if (parts_.size() != part.count || id_ != part.id) {
        id_ = part.id;
        missing_ = part.count;
        bytes_ = 0;
        parts_.assign(part.count, {});
    }
    base::Buffer& place = parts_[part.index];
    if (!place.empty() || bytes_ + part.payload.size() > kAssembledBytesMax) return std::nullopt;
    place = part.payload;
    bytes_ += part.payload.size();
    if (--missing_ > 0) return std::nullopt;

    base::MutableBuffer whole(bytes_);
    std::size_t at = 0;
    for (const base::Buffer& piece : parts_) {
        std::memcpy(whole.data() + at, piece.data(), piece.size());
        at += piece.size();
    }
    parts_.clear();
    return std::move(whole).freeze();
}

}  // namespace totem
