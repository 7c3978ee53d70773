#include "ringd/totem/ring_id_reserve.hpp"

#include <algorithm>

namespace totem {

void reserve_ring_ids(Context& context) {
    Core& core = context.core;
    const std::uint64_t known = std::max(core.ring_seq_max, core.ring_seq_heard);
    if (known + kRingsReserved / 2 <= std::max(core.stored.seq, core.reserving.seq)) return;
    core.reserving = {.seq = known + kRingsReserved, .representative = core.self};
    context.actions.emplace_back(StoreRing{.ring = core.reserving});
}

bool is_durable(const Core& core, std::uint64_t ring_seq) {
    return ring_seq <= core.stored.seq;
}

}  // namespace totem
