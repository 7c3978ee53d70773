#include "ringd/totem/recovery_token.hpp"

#include <algorithm>
#include <functional>

#include "common/base/invariant.hpp"
#include "ringd/totem/holdings.hpp"

namespace totem {
namespace {

constexpr std::size_t kHeaderBytes = kPacketHeadBytes + kRingIdBytes + 8 + 4;
constexpr std::size_t kRequestBytes = kRingIdBytes + 8 + 4;
static_assert(kHeaderBytes + kRequestBytes * kRecoveryRequestsMax <= 1200,
              "the token fits the smallest packet of any path");

bool in_range(const RecoveryToken& token) {
    return token.ring.representative != base::kNoNode &&
           std::ranges::all_of(token.requests, [](const RecoveryRequest& request) {
               return request.old_ring.representative != base::kNoNode &&
                      request.range.first > Seq{0} && request.range.first <= request.range.last &&
                      request.range.count() <= kUnstableSeqsMax;
           });
}

bool requests_ascend(const std::vector<RecoveryRequest>& requests) {
    return std::ranges::adjacent_find(requests, std::greater_equal{}) == requests.end();
}

}  // namespace

base::Expected<RecoveryToken, WireError> decode_recovery_token(std::span<const std::byte> packet) {
    base::ByteReader reader(packet);
    const auto request_count = read_head(reader, PacketType::RecoveryToken);
    if (!request_count) return base::fail(request_count.error());

    RecoveryToken token;
    token.ring = read_ring(reader);
    token.token_seq = TokenSeq{reader.read<std::uint64_t>()};
    token.complete_hops = reader.read<std::uint32_t>();
    if (!reader.ok()) return base::fail(WireError::Truncated);
    if (*request_count > kRecoveryRequestsMax) return base::fail(WireError::OutOfRange);
    const std::size_t list_bytes = *request_count * kRequestBytes;
    if (reader.remaining() < list_bytes) return base::fail(WireError::Truncated);
    if (reader.remaining() > list_bytes) return base::fail(WireError::TrailingBytes);

    token.requests.reserve(*request_count);
    for (std::size_t i = 0; i < *request_count; ++i) {
        RecoveryRequest request;
        request.old_ring = read_ring(reader);
        const auto first = reader.read<std::uint64_t>();
        const auto count = reader.read<std::uint32_t>();
        if (count == 0 || first > UINT64_MAX - count) return base::fail(WireError::OutOfRange);
        request.range = {.first = Seq{first}, .last = Seq{first + count - 1}};
        token.requests.push_back(request);
    }
    if (!requests_ascend(token.requests)) return base::fail(WireError::NotAscending);
    if (!in_range(token)) return base::fail(WireError::OutOfRange);
    return token;
}

base::Buffer encode_recovery_token(const RecoveryToken& token) {
    INVARIANT(token.requests.size() <= kRecoveryRequestsMax);
    INVARIANT(requests_ascend(token.requests));
    INVARIANT(in_range(token));
    base::MutableBuffer packet(kHeaderBytes + kRequestBytes * token.requests.size());
    base::ByteWriter writer(packet.bytes());
    write_head(writer, PacketType::RecoveryToken,
               static_cast<std::uint16_t>(token.requests.size()));
    write_ring(writer, token.ring);
    writer.write(token.token_seq.value());
    writer.write(token.complete_hops);
    for (const RecoveryRequest& request : token.requests) {
        write_ring(writer, request.old_ring);
        writer.write(request.range.first.value());
        writer.write(static_cast<std::uint32_t>(request.range.count()));
    }
    INVARIANT(writer.written() == packet.size());
    return std::move(packet).freeze();
}

}  // namespace totem
