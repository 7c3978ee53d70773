#include "ringd/transport/burst_builder.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/transport/packet_header.hpp"

namespace transport {

BurstPlan plan_burst(std::span<const std::size_t> payload_bytes) {
    INVARIANT(!payload_bytes.empty());
    std::size_t smallest = payload_bytes.front() + kOverheadBytes;
    BurstPlan plan{.packets = 1, .segment_bytes = smallest, .total_bytes = smallest};
    for (const std::size_t payload : payload_bytes.subspan(1)) {
        const std::size_t sealed = payload + kOverheadBytes;
        const std::size_t segment = std::max(plan.segment_bytes, sealed);
        if (plan.packets == kSegmentsMax) break;
        const bool as_segment = std::min(smallest, sealed) >= segment - segment / 8 &&
                                segment * (plan.packets + 1) <= kBurstBytesMax;
        if (as_segment) {
            smallest = std::min(smallest, sealed);
            plan.segment_bytes = segment;
            plan.total_bytes = segment * ++plan.packets;
            continue;
        }
        // Shorter than the others: it can still be the last.
        if (sealed < plan.segment_bytes && plan.total_bytes + sealed <= kBurstBytesMax) {
            plan.total_bytes += sealed;
            ++plan.packets;
        }
        break;
    }
    return plan;
}

bool can_join(const Burst& burst, const Burst& next) {
    const bool is_behind = burst.bytes.data() + burst.bytes.size() == next.bytes.data();
    const bool is_full = burst.bytes.size() % burst.segment_bytes == 0;
    return is_behind && is_full && next.bytes.size() <= burst.segment_bytes &&
           segments_of(burst) < kSegmentsMax &&
           burst.bytes.size() + next.bytes.size() <= kBurstBytesMax;
}

}  // namespace transport
