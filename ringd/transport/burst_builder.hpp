// Which packets leave together: a burst is one system call's super-packet, whose segments are of
// one size, only the last may be shorter.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "ringd/totem/actions.hpp"
#include "ringd/transport/network_link.hpp"

namespace transport {

// Where a packet goes: to one node or to many; on one link or on that in use.
struct Destination {
    std::optional<base::NodeId> node;  // Nothing: to `audience`.
    totem::SendToAll::Audience audience = totem::SendToAll::Audience::Members;
    std::optional<totem::LinkId> link;

    friend bool operator==(const Destination&, const Destination&) = default;
};

struct BurstPlan {
    std::size_t packets = 0;        // How many of the first ones.
    std::size_t segment_bytes = 0;  // Sealed; the smaller ones are padded to it, but for the last.
    std::size_t total_bytes = 0;    // Of all segments.
};

// Takes as many packets from the front of `payload_bytes` (sizes before sealing, not empty) as one
// burst holds. A packet is padded for company if that costs an eighth of the segment at most.
[[nodiscard]] BurstPlan plan_burst(std::span<const std::size_t> payload_bytes);

// Whether `next`, for the same receiver, can leave as the last segment of `burst`: it lies behind
// it in the send memory, and is one packet that is no longer than the others.
[[nodiscard]] bool can_join(const Burst& burst, const Burst& next);

}  // namespace transport
