#include "ringd/totem/token.hpp"

#include <algorithm>
#include <functional>

#include "common/base/invariant.hpp"

namespace totem {
namespace {

static_assert(kTokenBytesMax <= 1200, "a token fits the smallest packet of any path");

// Said once and used at both ends: the decoder refuses what the encoder must never send.
// There is no lower bound on a request. When the aru setter raises aru, requests below the new
// value can still be on the list until the member that lacks them lowers aru again.
bool requests_ascend(const std::vector<RetransmitRequest>& requests) {
    return std::ranges::adjacent_find(requests, std::greater_equal{}) == requests.end();
}

bool in_range(const RetransmitRequest& request, Seq seq) {
    return request.range.first > Seq{0} && request.range.first <= request.range.last &&
           request.range.last <= seq && request.range.count() <= kRequestSeqsMax &&
           request.requester != base::kNoNode;
}

bool in_range(const Token& token) {
    return token.aru <= token.seq && token.ring.representative != base::kNoNode &&
           std::ranges::all_of(token.requests, [&](const RetransmitRequest& request) {
               return in_range(request, token.seq);
           });
}

}  // namespace

base::Expected<Token, WireError> decode_token(std::span<const std::byte> packet) {
    base::ByteReader reader(packet);
    const auto request_count = read_head(reader, PacketType::Token);
    if (!request_count) return base::fail(request_count.error());

    Token token;
    token.ring = read_ring(reader);
    token.token_seq = TokenSeq{reader.read<std::uint64_t>()};
    token.seq = Seq{reader.read<std::uint64_t>()};
    token.aru = Seq{reader.read<std::uint64_t>()};
    token.aru_setter = base::NodeId{reader.read<std::uint32_t>()};
    token.last_sender = base::NodeId{reader.read<std::uint32_t>()};
    token.idle_hops = reader.read<std::uint32_t>();
    token.fcc_bytes = reader.read<std::uint32_t>();
    token.backlog_bytes = reader.read<std::uint32_t>();
    const auto reserved = reader.read<std::uint32_t>();
    if (!reader.ok()) return base::fail(WireError::Truncated);

    // Before the reservation: a peer must not choose how much memory we allocate.
    if (*request_count > kRequestsMax || reserved != 0) return base::fail(WireError::OutOfRange);
    const std::size_t list_bytes = *request_count * kRequestBytes;
    if (reader.remaining() < list_bytes) return base::fail(WireError::Truncated);
    if (reader.remaining() > list_bytes) return base::fail(WireError::TrailingBytes);

    token.requests.reserve(*request_count);
    for (std::size_t i = 0; i < *request_count; ++i) {
        const auto first = reader.read<std::uint64_t>();
        const auto count = reader.read<std::uint32_t>();
        const auto requester = base::NodeId{reader.read<std::uint32_t>()};
        if (count == 0 || count > kRequestSeqsMax || first > UINT64_MAX - count) {
            return base::fail(WireError::OutOfRange);
        }
        token.requests.push_back({.range = {.first = Seq{first}, .last = Seq{first + count - 1}},
                                  .requester = requester});
    }
    INVARIANT(reader.ok());
    INVARIANT(reader.remaining() == 0);

    if (!requests_ascend(token.requests)) return base::fail(WireError::NotAscending);
    if (!in_range(token)) return base::fail(WireError::OutOfRange);
    return token;
}

base::Buffer encode_token(const Token& token) {
    INVARIANT(token.requests.size() <= kRequestsMax);
    INVARIANT(requests_ascend(token.requests));
    INVARIANT(in_range(token));

    base::MutableBuffer packet(kTokenHeaderBytes + kRequestBytes * token.requests.size());
    base::ByteWriter writer(packet.bytes());
    write_head(writer, PacketType::Token, static_cast<std::uint16_t>(token.requests.size()));
    write_ring(writer, token.ring);
    writer.write(token.token_seq.value());
    writer.write(token.seq.value());
    writer.write(token.aru.value());
    writer.write(token.aru_setter.value());
    writer.write(token.last_sender.value());
    writer.write(token.idle_hops);
    writer.write(token.fcc_bytes);
    writer.write(token.backlog_bytes);
    writer.write(std::uint32_t{0});  // Reserved.
    INVARIANT(writer.written() == kTokenHeaderBytes);

    for (const RetransmitRequest& request : token.requests) {
        writer.write(request.range.first.value());
        writer.write(static_cast<std::uint32_t>(request.range.count()));
        writer.write(request.requester.value());
    }
    INVARIANT(writer.written() == packet.size());
    return std::move(packet).freeze();
}

}  // namespace totem
