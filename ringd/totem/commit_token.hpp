// The commit token: collects from each member of the ring being formed what it brings along, and
// on the second rotation tells all of it to each.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/buffer.hpp"
#include "ringd/totem/holdings.hpp"
#include "ringd/totem/wire.hpp"

namespace totem {

// What one member brings along.
struct CommitEntry {
    base::RingId old_ring{};             // Of its last regular configuration; default: none yet.
    Holdings holdings{};                 // Of the old ring's messages.
    Seq safe_line{};                     // All members of the old ring hold all up to here.
    std::uint32_t packet_bytes_max = 0;  // Its paths carry packets of this size.
    std::uint64_t features = 0;          // Feature bits it offers.
    // Of the old ring: to whom it has said that it holds all that they hold together.
    NodeSet obliged_to{};

    friend bool operator==(const CommitEntry&, const CommitEntry&) = default;
};

struct CommitToken {
    base::RingId ring{};
    // Hop 1 goes from the representative to the second member; each adds its entry before it sends
    // on. From hop members.size() on all entries are there; hop 2 * members.size() is the last.
    std::uint32_t hop = 0;
    NodeSet members{};
    std::vector<CommitEntry> entries{};  // Of the first min(hop, members) members.

    friend bool operator==(const CommitToken&, const CommitToken&) = default;
};

[[nodiscard]] base::Expected<CommitToken, WireError> decode_commit_token(
    std::span<const std::byte> packet);
[[nodiscard]] base::Buffer encode_commit_token(const CommitToken& token);

}  // namespace totem
