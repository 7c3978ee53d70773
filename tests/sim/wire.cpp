#include "tests/sim/wire.hpp"

#include "ringd/totem/commit_token.hpp"
#include "ringd/totem/data_packet.hpp"
#include "ringd/totem/token.hpp"
#include "ringd/totem/wire.hpp"

namespace sim {
namespace {

std::uint64_t digest_of(std::span<const std::byte> bytes) {
    std::uint64_t digest = 0xcbf29ce484222325u;
    for (const std::byte byte : bytes) {
        digest = (digest ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3u;
    }
    return digest;
}

What read_data(const base::Buffer& packet) {
    const auto data = totem::decode_data(packet);
    if (!data) return Malformed{.bytes = packet.size()};
    return DataSent{.ring = data->ring, .seq = data->seq, .digest = digest_of(packet.bytes())};
}

What read_token(const base::Buffer& packet) {
    const auto token = totem::decode_token(packet.bytes());
    if (!token) return Malformed{.bytes = packet.size()};
    return TokenSent{.ring = token->ring,
                     .token_seq = token->token_seq,
                     .seq = token->seq,
                     .aru = token->aru,
                     .digest = digest_of(packet.bytes())};
}

What read_commit_token(const base::Buffer& packet) {
    const auto token = totem::decode_commit_token(packet.bytes());
    if (!token) return Malformed{.bytes = packet.size()};
    return CommitTokenSent{.ring = token->ring, .members = token->members.nodes()};
}

}  // namespace

void WireTap::sent(base::Instant now, Process who, const base::Buffer& packet) {
    using totem::PacketType;
    const auto type = totem::type_of(packet.bytes());
    if (!type) {
        trace_.push_back({now, who, Malformed{.bytes = packet.size()}});
    } else if (type == PacketType::Data) {
        trace_.push_back({now, who, read_data(packet)});
    } else if (type == PacketType::Token) {
        trace_.push_back({now, who, read_token(packet)});
    } else if (type == PacketType::CommitToken) {
        trace_.push_back({now, who, read_commit_token(packet)});
    } else if (type == PacketType::Part) {
        const auto part = totem::decode_part(packet);
        const auto whole = part ? leaving_[who].add(*part) : std::nullopt;
        if (!part) trace_.push_back({now, who, Malformed{.bytes = packet.size()}});
        if (whole) sent(now, who, *whole);
    }
}

void WireTap::received(base::Instant now, Process who, base::NodeId from,
                       const base::Buffer& packet) {
    const auto type = totem::type_of(packet.bytes());
    if (type == totem::PacketType::Data) {
        const auto data = totem::decode_data(packet);
        if (data) trace_.push_back({now, who, DataReceived{.ring = data->ring, .seq = data->seq}});
    } else if (type == totem::PacketType::Part) {
        const auto part = totem::decode_part(packet);
        const auto whole = part ? arriving_[{who, from}].add(*part) : std::nullopt;
        if (whole) received(now, who, from, *whole);
    }
}

}  // namespace sim
