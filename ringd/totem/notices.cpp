#include "ringd/totem/notices.hpp"

#include "common/base/invariant.hpp"

namespace totem {
namespace {

// Request and answer have the same fields.
template <class Notice>
base::Expected<Notice, WireError> decode_visit(std::span<const std::byte> packet, PacketType type) {
    base::ByteReader reader(packet);
    const auto reserved = read_head(reader, type);
    if (!reserved) return base::fail(reserved.error());
    Notice notice;
    notice.ring = read_ring(reader);
    notice.token_seq = TokenSeq{reader.read<std::uint64_t>()};
    if (!reader.ok()) return base::fail(WireError::Truncated);
    if (reader.remaining() > 0) return base::fail(WireError::TrailingBytes);
    if (*reserved != 0 || notice.ring.representative == base::kNoNode) {
        return base::fail(WireError::OutOfRange);
    }
    return notice;
}

template <class Notice>
base::Buffer encode_visit(const Notice& notice, PacketType type) {
    INVARIANT(notice.ring.representative != base::kNoNode);
    base::MutableBuffer packet(kPacketHeadBytes + kRingIdBytes + 8);
    base::ByteWriter writer(packet.bytes());
    write_head(writer, type, 0);
    write_ring(writer, notice.ring);
    writer.write(notice.token_seq.value());
    INVARIANT(writer.written() == packet.size());
    return std::move(packet).freeze();
}

}  // namespace

base::Expected<TokenRequest, WireError> decode_token_request(std::span<const std::byte> packet) {
    return decode_visit<TokenRequest>(packet, PacketType::TokenRequest);
}
base::Buffer encode_token_request(const TokenRequest& request) {
    return encode_visit(request, PacketType::TokenRequest);
}
base::Expected<TokenSeen, WireError> decode_token_seen(std::span<const std::byte> packet) {
    return decode_visit<TokenSeen>(packet, PacketType::TokenSeen);
}
base::Buffer encode_token_seen(const TokenSeen& seen) {
    return encode_visit(seen, PacketType::TokenSeen);
}

base::Expected<Leave, WireError> decode_leave(std::span<const std::byte> packet) {
    base::ByteReader reader(packet);
    const auto reserved = read_head(reader, PacketType::Leave);
    if (!reserved) return base::fail(reserved.error());
    const Leave leave{.incarnation = read_incarnation(reader)};
    if (!reader.ok()) return base::fail(WireError::Truncated);
    if (reader.remaining() > 0) return base::fail(WireError::TrailingBytes);
    if (*reserved != 0) return base::fail(WireError::OutOfRange);
    return leave;
}

base::Buffer encode_leave(const Leave& leave) {
    base::MutableBuffer packet(kPacketHeadBytes + kIncarnationBytes);
    base::ByteWriter writer(packet.bytes());
    write_head(writer, PacketType::Leave, 0);
    write_incarnation(writer, leave.incarnation);
    INVARIANT(writer.written() == packet.size());
    return std::move(packet).freeze();
}

}  // namespace totem
