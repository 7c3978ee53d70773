#include "ringd/totem/data_packet.hpp"

#include <algorithm>
#include <cstring>

#include "common/base/invariant.hpp"

namespace totem {
namespace {

constexpr std::uint16_t kFlagFirst = 1u << 0u;
constexpr std::uint16_t kFlagLast = 1u << 1u;
constexpr std::uint16_t kFlagSafe = 1u << 2u;
constexpr std::uint16_t kFlagsKnown = kFlagFirst | kFlagLast | kFlagSafe;

constexpr std::size_t kChunkCountAt = 2;

// Of packet memory: small beside what a visit may send, large beside a packet.
constexpr std::size_t kBlockBytes = std::size_t{32} << 10u;
constexpr std::size_t kPacketAlign = 64;

bool in_range(const Chunk& chunk) {
    if (chunk.item_bytes > kItemBytesMax) return false;
    if (chunk.first && chunk.last) return chunk.length == chunk.item_bytes;
    return chunk.length > 0 && chunk.length < chunk.item_bytes;
}

// Reads one chunk header and gives where its payload lies, without looking at the payload.
Chunk chunk_at(std::span<const std::byte> packet, std::size_t at) {
    base::ByteReader reader(packet.subspan(at, kChunkHeaderBytes));
    Chunk chunk;
    chunk.length = reader.read<std::uint16_t>();
    const auto flags = reader.read<std::uint16_t>();
    chunk.item_bytes = reader.read<std::uint32_t>();
    chunk.first = (flags & kFlagFirst) != 0;
    chunk.last = (flags & kFlagLast) != 0;
    chunk.guarantee = (flags & kFlagSafe) != 0 ? Guarantee::Safe : Guarantee::Agreed;
    chunk.offset = at + kChunkHeaderBytes;
    return chunk;
}

base::Expected<void, WireError> check_chunks(std::span<const std::byte> packet,
                                             std::uint16_t count) {
    std::size_t at = kDataHeaderBytes;
    for (std::uint16_t i = 0; i < count; ++i) {
        if (packet.size() - at < kChunkHeaderBytes) return base::fail(WireError::Truncated);
        base::ByteReader flags_reader(packet.subspan(at + 2, 2));
        const auto flags = flags_reader.read<std::uint16_t>();
        const Chunk chunk = chunk_at(packet, at);
        const bool continues_here = !chunk.first && i != 0;
        const bool unfinished_here = !chunk.last && i + 1 != count;
        if ((flags & ~kFlagsKnown) != 0 || !in_range(chunk) || continues_here || unfinished_here) {
            return base::fail(WireError::OutOfRange);
        }
        if (packet.size() - chunk.offset < chunk.length) return base::fail(WireError::Truncated);
        at = chunk.offset + chunk.length;
    }
    if (at != packet.size()) return base::fail(WireError::TrailingBytes);
    return {};
}

}  // namespace

base::Expected<DataPacket, WireError> decode_data(const base::Buffer& packet) {
    base::ByteReader reader(packet.bytes());
    const auto chunk_count = read_head(reader, PacketType::Data);
    if (!chunk_count) return base::fail(chunk_count.error());

    DataPacket data;
    data.ring = read_ring(reader);
    data.seq = Seq{reader.read<std::uint64_t>()};
    data.sender = base::NodeId{reader.read<std::uint32_t>()};
    data.visit = TokenSeq{reader.read<std::uint64_t>()};
    if (!reader.ok()) return base::fail(WireError::Truncated);
    if (packet.size() > kPacketBytesMax || *chunk_count == 0 || data.seq == Seq{0} ||
        data.sender == base::kNoNode || data.ring.representative == base::kNoNode) {
        return base::fail(WireError::OutOfRange);
    }
    const auto chunks = check_chunks(packet.bytes(), *chunk_count);
    if (!chunks) return base::fail(chunks.error());
    data.packet = packet;
    return data;
}

ChunkReader::ChunkReader(std::span<const std::byte> packet, std::uint32_t skip) : packet_(packet) {
    for (; skip > 0; --skip)
        (void)next();  // What was read before is not asked for again.
}

std::optional<Chunk> ChunkReader::next() {
    if (at_ == packet_.size()) return std::nullopt;
    const Chunk chunk = chunk_at(packet_, at_);
    at_ = chunk.offset + chunk.length;
    return chunk;
}

std::span<std::byte> PacketMemory::room(std::size_t bytes) {
    INVARIANT(bytes <= kPacketBytesMax);
    if (block_.size() - used_ < bytes) {
        block_ = base::MutableBuffer(std::max(bytes, std::min(expected_bytes_, kBlockBytes)));
        used_ = 0;
    }
    return block_.bytes().subspan(used_, bytes);
}

base::Buffer PacketMemory::keep(std::size_t bytes) {
    base::Buffer packet = block_.share(used_, bytes);
    used_ =
        std::min(block_.size(), (used_ + bytes + kPacketAlign - 1) / kPacketAlign * kPacketAlign);
    return packet;
}

DataWriter::DataWriter(const Header& header, std::size_t packet_bytes_max, PacketMemory& memory)
    : memory_(memory), packet_(memory.room(std::min(packet_bytes_max, kPacketBytesMax))) {
    INVARIANT(header.seq > Seq{0});
    INVARIANT(header.sender != base::kNoNode);
    INVARIANT(header.ring.representative != base::kNoNode);
    base::ByteWriter writer(packet_);
    write_head(writer, PacketType::Data, 0);
    write_ring(writer, header.ring);
    writer.write(header.seq.value());
    writer.write(header.sender.value());
    writer.write(header.visit.value());
    INVARIANT(writer.written() == kDataHeaderBytes);
}

std::optional<std::size_t> DataWriter::room() const {
    if (packet_.size() - at_ < kChunkHeaderBytes || chunk_count_ == UINT16_MAX) return std::nullopt;
    return packet_.size() - at_ - kChunkHeaderBytes;
}

void DataWriter::append(const Chunk& chunk, std::span<const std::byte> payload) {
    INVARIANT(room().has_value());
    INVARIANT(payload.size() <= *room());
    INVARIANT(payload.size() == chunk.length);
    INVARIANT(in_range(chunk));
    INVARIANT(chunk.first || chunk_count_ == 0);

    base::ByteWriter writer(packet_.subspan(at_));
    std::uint16_t flags = 0;
    if (chunk.first) flags |= kFlagFirst;
    if (chunk.last) flags |= kFlagLast;
    if (chunk.guarantee == Guarantee::Safe) flags |= kFlagSafe;
    writer.write(static_cast<std::uint16_t>(chunk.length));
    writer.write(flags);
    writer.write(chunk.item_bytes);
    at_ += kChunkHeaderBytes;
    if (!payload.empty()) std::memcpy(packet_.data() + at_, payload.data(), payload.size());
    at_ += payload.size();
    ++chunk_count_;
}

base::Buffer DataWriter::finish() && {
    INVARIANT(chunk_count_ > 0);
    base::ByteWriter count(packet_.subspan(kChunkCountAt));
    count.write(chunk_count_);
    return memory_.keep(at_);
}

}  // namespace totem
