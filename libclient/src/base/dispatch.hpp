// What the CS_DISPATCH_* of corotypes.h mean, in every library.
#pragma once

#include <atomic>
#include <cstdint>

#include "corosync/corotypes.h"

namespace client {

enum class Wait : std::uint8_t { Never, ForEvent };

// `take(wait)` takes the next event and gives CS_OK, CS_ERR_TRY_AGAIN (there is none, only for
// Wait::Never) or an error. `run()` runs the program's callback for it. A handle that is finalized
// meanwhile, by another thread or by the callback, ends it with CS_OK.
template <class Take, class Run>
cs_error_t dispatch_events(cs_dispatch_flags_t flags, const std::atomic<bool>& finalized, Take take,
                           Run run) {
    const bool one = flags == CS_DISPATCH_ONE || flags == CS_DISPATCH_ONE_NONBLOCKING;
    const bool waits = flags == CS_DISPATCH_ONE || flags == CS_DISPATCH_BLOCKING;
    if (!one && !waits && flags != CS_DISPATCH_ALL) return CS_ERR_INVALID_PARAM;
    for (;;) {
        const cs_error_t taken = take(waits ? Wait::ForEvent : Wait::Never);
        if (finalized) return CS_OK;
        if (taken == CS_ERR_TRY_AGAIN && flags == CS_DISPATCH_ALL) return CS_OK;
        if (taken != CS_OK) return taken;
        run();
        if (one || finalized) return CS_OK;
    }
}

}  // namespace client
