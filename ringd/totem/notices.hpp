// The three smallest packets: the request for a parked token, the answer of who parks it, and the
// farewell of a node that leaves.
#pragma once

#include <cstdint>
#include <span>

#include "common/base/buffer.hpp"
#include "ringd/totem/seq.hpp"
#include "ringd/totem/wire.hpp"

namespace totem {

// "I have something to send": to where the token is parked.
struct TokenRequest {
    base::RingId ring{};
    TokenSeq token_seq{};  // Of the requester's last visit.

    friend bool operator==(const TokenRequest&, const TokenRequest&) = default;
};

// "The token with this number arrived and stays here": ends its retransmission.
struct TokenParked {
    base::RingId ring{};
    TokenSeq token_seq{};

    friend bool operator==(const TokenParked&, const TokenParked&) = default;
};

// "I go, in this incarnation": no time-out is needed to know that I am gone.
struct Leave {
    std::uint64_t incarnation = 0;

    friend bool operator==(const Leave&, const Leave&) = default;
};

[[nodiscard]] base::Expected<TokenRequest, WireError> decode_token_request(
    std::span<const std::byte> packet);
[[nodiscard]] base::Buffer encode_token_request(const TokenRequest& request);
[[nodiscard]] base::Expected<TokenParked, WireError> decode_token_parked(
    std::span<const std::byte> packet);
[[nodiscard]] base::Buffer encode_token_parked(const TokenParked& parked);
[[nodiscard]] base::Expected<Leave, WireError> decode_leave(std::span<const std::byte> packet);
[[nodiscard]] base::Buffer encode_leave(const Leave& leave);

}  // namespace totem
