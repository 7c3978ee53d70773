#include "ringd/totem/token.hpp"

#include "tests/unit/ringd/totem/codec_checks.hpp"

namespace {

using base::NodeId;
using totem::Seq;
using totem::Token;
using totem::WireError;

Token sample_token() {
    return {.ring = {.seq = 12, .representative = NodeId{1}},
            .token_seq = totem::TokenSeq{7},
            .seq = Seq{100},
            .aru = Seq{90},
            .aru_setter = NodeId{3},
            .last_sender = NodeId{2},
            .idle_hops = 1,
            .fcc_bytes = 4000,
            .backlog_bytes = 500,
            .requests = {{.range = {.first = Seq{91}, .last = Seq{93}}, .requester = NodeId{3}},
                         {.range = {.first = Seq{91}, .last = Seq{93}}, .requester = NodeId{4}},
                         {.range = {.first = Seq{99}, .last = Seq{99}}, .requester = NodeId{3}}}};
}

auto decode(const Bytes& bytes) {
    return totem::decode_token(bytes);
}

}  // namespace

TEST_CASE("a token survives the wire, and damage is told") {
    for (const Token& token :
         {sample_token(), Token{.ring = {.seq = 1, .representative = NodeId{9}}, .requests = {}}}) {
        const base::Buffer packet = totem::encode_token(token);
        CHECK(totem::decode_token(packet.bytes()).value() == token);
        check_damage(packet, decode, totem::encode_token);
    }
}

TEST_CASE("a token is little-endian and fixed") {
    const Bytes packet = bytes_of(totem::encode_token(sample_token()));
    CHECK(packet.size() == totem::kTokenHeaderBytes + 3 * totem::kRequestBytes);
    CHECK(packet[2] == std::byte{3});     // Requests.
    CHECK(packet[4] == std::byte{1});     // Representative.
    CHECK(packet[24] == std::byte{100});  // Low byte of seq.
}

TEST_CASE("a token that breaks an invariant is refused") {
    const Bytes good = bytes_of(totem::encode_token(sample_token()));
    struct Row {
        std::size_t at;
        unsigned value;
        WireError error;
    };
    for (const Row& row : {Row{4, 0, WireError::OutOfRange},        // No representative.
                           Row{32, 101, WireError::OutOfRange},     // aru above seq.
                           Row{60, 1, WireError::OutOfRange},       // Reserved.
                           Row{72, 0, WireError::OutOfRange},       // An empty range.
                           Row{3, 0xff, WireError::OutOfRange},     // 65,283 requests.
                           Row{2, 4, WireError::Truncated},         // One more than there are.
                           Row{2, 2, WireError::TrailingBytes},     // One less.
                           Row{92, 3, WireError::NotAscending},     // The first request twice.
                           Row{96, 101, WireError::OutOfRange}}) {  // A request above seq.
        CAPTURE(row.at);
        CHECK(decode(with_byte(good, row.at, row.value)).error() == row.error);
    }
}
