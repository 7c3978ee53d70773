// The three smallest packets: the request for a parked token, the word that a token arrived, and
// the farewell of a node that leaves.
#pragma once

#include <cstdint>
#include <span>

#include "common/base/buffer.hpp"
#include "ringd/totem/row.hpp"
#include "ringd/totem/seq.hpp"
#include "ringd/totem/wire.hpp"

namespace totem {

// "I have something to send": to where the token is parked.
struct TokenRequest {
    base::RingId ring{};
    TokenSeq token_seq{};  // Of the requester's last visit.

    friend bool operator==(const TokenRequest&, const TokenRequest&) = default;
};

// "The token with this number arrived here": ends its retransmission. Said by who parks the token,
// and to who sent a duplicate.
struct TokenSeen {
    base::RingId ring{};
    TokenSeq token_seq{};

    friend bool operator==(const TokenSeen&, const TokenSeen&) = default;
};

// "I go, in this incarnation": no time-out is needed to know that I am gone.
struct Leave {
    Incarnation incarnation{};

    friend bool operator==(const Leave&, const Leave&) = default;
};

[[nodiscard]] base::Expected<TokenRequest, WireError> decode_token_request(
    std::span<const std::byte> packet);
[[nodiscard]] base::Buffer encode_token_request(const TokenRequest& request);
[[nodiscard]] base::Expected<TokenSeen, WireError> decode_token_seen(
    std::span<const std::byte> packet);
[[nodiscard]] base::Buffer encode_token_seen(const TokenSeen& seen);
[[nodiscard]] base::Expected<Leave, WireError> decode_leave(std::span<const std::byte> packet);
[[nodiscard]] base::Buffer encode_leave(const Leave& leave);

}  // namespace totem
