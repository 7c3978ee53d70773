#include "ringd/totem/commit_token.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace totem {
namespace {

constexpr std::size_t kHeaderBytes = kPacketHeadBytes + kRingIdBytes + 4;
constexpr std::size_t kEntryBytes = kRingIdBytes + 3 * 8 + 4 + 8;  // And a set and a bitmap.

bool in_range(const CommitEntry& entry) {
    if (!entry.holdings.is_canonical() || entry.safe_line > entry.holdings.aru) return false;
    const bool has_old_ring = entry.old_ring.representative != base::kNoNode;
    return has_old_ring ||
           (entry.old_ring.seq == 0 && entry.holdings.high == Seq{0} && entry.obliged_to.empty());
}

bool in_range(const CommitToken& token) {
    const std::size_t members = token.members.size();
    return members >= 1 && token.ring.representative == token.members.front() && token.hop >= 1 &&
           token.hop <= 2 * members &&
           token.entries.size() == std::min<std::size_t>(token.hop, members) &&
           std::ranges::all_of(token.entries,
                               [](const CommitEntry& entry) { return in_range(entry); });
}

base::Expected<CommitEntry, WireError> read_entry(base::ByteReader& reader) {
    CommitEntry entry;
    entry.old_ring = read_ring(reader);
    entry.holdings.aru = Seq{reader.read<std::uint64_t>()};
    entry.holdings.high = Seq{reader.read<std::uint64_t>()};
    entry.safe_line = Seq{reader.read<std::uint64_t>()};
    entry.packet_bytes_max = reader.read<std::uint32_t>();
    entry.features = reader.read<std::uint64_t>();
    if (!reader.ok()) return base::fail(WireError::Truncated);
    auto obliged_to = read_nodes(reader);
    if (!obliged_to) return base::fail(obliged_to.error());
    entry.obliged_to = std::move(*obliged_to);
    const Holdings& holdings = entry.holdings;
    if (holdings.high < holdings.aru ||
        holdings.high.value() - holdings.aru.value() > kUnstableSeqsMax) {
        return base::fail(WireError::OutOfRange);
    }
    const std::size_t bytes = Holdings::bitmap_bytes(holdings.aru, holdings.high);
    if (reader.remaining() < bytes) return base::fail(WireError::Truncated);
    entry.holdings.held.resize(bytes);
    for (std::byte& byte : entry.holdings.held)
        byte = std::byte{reader.read<std::uint8_t>()};
    return entry;
}

void write_entry(base::ByteWriter& writer, const CommitEntry& entry) {
    write_ring(writer, entry.old_ring);
    writer.write(entry.holdings.aru.value());
    writer.write(entry.holdings.high.value());
    writer.write(entry.safe_line.value());
    writer.write(entry.packet_bytes_max);
    writer.write(entry.features);
    write_nodes(writer, entry.obliged_to);
    for (const std::byte byte : entry.holdings.held) {
        writer.write(std::to_integer<std::uint8_t>(byte));
    }
}

}  // namespace

base::Expected<CommitToken, WireError> decode_commit_token(std::span<const std::byte> packet) {
    base::ByteReader reader(packet);
    const auto reserved = read_head(reader, PacketType::CommitToken);
    if (!reserved) return base::fail(reserved.error());

    CommitToken token;
    token.ring = read_ring(reader);
    token.hop = reader.read<std::uint32_t>();
    if (!reader.ok()) return base::fail(WireError::Truncated);
    if (*reserved != 0) return base::fail(WireError::OutOfRange);
    auto members = read_nodes(reader);
    if (!members) return base::fail(members.error());
    token.members = std::move(*members);

    const std::size_t entries = std::min<std::size_t>(token.hop, token.members.size());
    if (reader.remaining() < entries * kEntryBytes) return base::fail(WireError::Truncated);
    token.entries.reserve(entries);
    for (std::size_t i = 0; i < entries; ++i) {
        auto entry = read_entry(reader);
        if (!entry) return base::fail(entry.error());
        token.entries.push_back(std::move(*entry));
    }
    if (reader.remaining() > 0) return base::fail(WireError::TrailingBytes);
    if (!in_range(token)) return base::fail(WireError::OutOfRange);
    return token;
}

base::Buffer encode_commit_token(const CommitToken& token) {
    INVARIANT(in_range(token));
    std::size_t bytes = kHeaderBytes + nodes_bytes(token.members);
    for (const CommitEntry& entry : token.entries) {
        bytes += kEntryBytes + nodes_bytes(entry.obliged_to) + entry.holdings.held.size();
    }
    base::MutableBuffer packet(bytes);
    base::ByteWriter writer(packet.bytes());
    write_head(writer, PacketType::CommitToken, 0);
    write_ring(writer, token.ring);
    writer.write(token.hop);
    write_nodes(writer, token.members);
    for (const CommitEntry& entry : token.entries)
        write_entry(writer, entry);
    INVARIANT(writer.written() == packet.size());
    return std::move(packet).freeze();
}

}  // namespace totem
