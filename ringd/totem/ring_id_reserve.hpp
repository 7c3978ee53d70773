// Ring ids are made durable ahead of their use, so that a new ring does not wait for the disk of
// one member after the other (Totem section 4.2 has each member store the id when the commit token
// comes to it). What is durable is a bound: a member takes part in rings whose seq is at most that,
// and after a restart in rings beyond it. So no ring id is ever used twice, as if each were stored.
#pragma once

#include <cstdint>

#include "ringd/totem/core.hpp"

namespace totem {

// So many beyond the highest known are stored at once; when half of them are used up, again.
inline constexpr std::uint64_t kRingsReserved = 64;

// Has a new bound stored (StoreRing) if what is durable, or on its way, comes to an end soon.
void reserve_ring_ids(Context& context);

// May we send something of a ring with this seq?
[[nodiscard]] bool is_durable(const Core& core, std::uint64_t ring_seq);

}  // namespace totem
