// The join message: who gathers, what it proposes, and who hears whom as far as it knows. The same
// packet from a node that does not gather announces its presence and relays what it knows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/buffer.hpp"
#include "ringd/totem/row.hpp"
#include "ringd/totem/wire.hpp"

namespace totem {

struct JoinMessage {
    bool gathering = false;
    base::RingId ring{};             // In force at the sender, or last in force.
    std::uint64_t ring_seq_max = 0;  // Highest ring seq that the sender has ever agreed to.
    NodeSet proposal{};              // Members of the ring it would form now, with itself.
    std::vector<Row> rows{};         // The sender's own first, the others ascending by node.

    friend bool operator==(const JoinMessage&, const JoinMessage&) = default;
};

[[nodiscard]] base::Expected<JoinMessage, WireError> decode_join(std::span<const std::byte> packet);

// Needs: the invariants of JoinMessage hold. Rows with equal sets share one copy of it, so that in
// the common case a join grows by 30 bytes a node.
[[nodiscard]] base::Buffer encode_join(const JoinMessage& join);

}  // namespace totem
