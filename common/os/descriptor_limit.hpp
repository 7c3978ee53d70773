// How many descriptors this process may have open.
#pragma once

#include "common/os/error.hpp"

namespace os {

// Raises the soft limit to the hard one. The soft limit is 1,024 on most systems, for the sake of
// programs that use select(); a daemon with a socket or two for each client needs more.
Result<void> raise_descriptor_limit();

}  // namespace os
