// The regular token: what it carries round the ring, and its wire form.
//
// Source: Amir, Moser, Melliar-Smith, Agarwal, Ciarfella, "The Totem Single-Ring Ordering and
// Membership Protocol", ACM TOCS 13(4), 1995: total ordering protocol and flow control.
// Wire layout and the meaning of each byte: docs/wire-format-ring.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/buffer.hpp"
#include "ringd/totem/seq.hpp"
#include "ringd/totem/wire.hpp"

namespace totem {

// Messages that `requester` lacks.
struct RetransmitRequest {
    SeqRange range{};
    base::NodeId requester{};

    template <class A>
    void archive(A& a) {
        a(range, requester);
    }
    friend auto operator<=>(const RetransmitRequest&, const RetransmitRequest&) = default;
};

// Only the holder of the token multicasts. A message is a packet here; sizes are bytes of packets.
struct Token {
    base::RingId ring{};
    TokenSeq token_seq{};             // A copy that is not newer than the last one is a duplicate.
    Seq seq{};                        // Highest message on the ring.
    Seq aru{};                        // Messages <= aru on two successive visits are held by all.
    base::NodeId aru_setter{};        // Who lowered aru last and alone may raise it; or kNoNode.
    base::NodeId last_sender{};       // Who sent last: there an idle token is parked. Or kNoNode.
    std::uint32_t idle_hops = 0;      // Visits in a row that sent nothing and found all held.
    std::uint32_t fcc_bytes = 0;      // Sent in the last full rotation.
    std::uint32_t backlog_bytes = 0;  // Waiting at all members.
    std::vector<RetransmitRequest> requests{};  // Strictly ascending.

    template <class A>
    void archive(A& a) {
        a(ring, token_seq, seq, aru, aru_setter, last_sender, idle_hops, fcc_bytes, backlog_bytes,
          requests);
    }
    friend bool operator==(const Token&, const Token&) = default;
};

// A range each: one rotation can ask for thousands of messages. A member that lacks more ranges
// asks for the lowest ones and for the rest on the next visit.
inline constexpr std::size_t kRequestsMax = 64;
inline constexpr std::size_t kTokenHeaderBytes = 64;
inline constexpr std::size_t kRequestBytes = 16;
inline constexpr std::size_t kTokenBytesMax = kTokenHeaderBytes + kRequestBytes * kRequestsMax;

// No single request is longer: it bounds the work that one token can ask for.
inline constexpr std::uint64_t kRequestSeqsMax = 65536;

// Gives a token of which every invariant above holds, or why the bytes are none. Pure; safe on any
// input. The caller counts and drops what fails: a bad packet is no event of the protocol.
[[nodiscard]] base::Expected<Token, WireError> decode_token(std::span<const std::byte> packet);

// Needs: the invariants of Token hold; else it aborts. At most kTokenBytesMax bytes.
[[nodiscard]] base::Buffer encode_token(const Token& token);

}  // namespace totem
