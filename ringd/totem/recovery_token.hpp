// The token of recovery: rotates until all members have what their old rings' members brought
// along. It carries no new messages; those wait for the regular token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/buffer.hpp"
#include "ringd/totem/seq.hpp"
#include "ringd/totem/wire.hpp"

namespace totem {

// Messages of an old ring that a member still lacks after the planned exchange.
struct RecoveryRequest {
    base::RingId old_ring{};
    SeqRange range{};

    friend auto operator<=>(const RecoveryRequest&, const RecoveryRequest&) = default;
};

struct RecoveryToken {
    base::RingId ring{};
    TokenSeq token_seq{};
    std::uint32_t complete_hops = 0;          // Members in a row that lacked nothing.
    std::vector<RecoveryRequest> requests{};  // Strictly ascending.

    friend bool operator==(const RecoveryToken&, const RecoveryToken&) = default;
};

inline constexpr std::size_t kRecoveryRequestsMax = 40;

[[nodiscard]] base::Expected<RecoveryToken, WireError> decode_recovery_token(
    std::span<const std::byte> packet);
[[nodiscard]] base::Buffer encode_recovery_token(const RecoveryToken& token);

}  // namespace totem
