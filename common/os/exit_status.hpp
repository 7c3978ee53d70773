// What a daemon ends with when the whole node is to stop, for whoever runs it (docs/operations.md).
// Neither is restarted; sysexits.h ends at 78.
#pragma once

namespace os {

inline constexpr int kExitShutdown = 80;  // The node was asked to stop, and nobody vetoed.
inline constexpr int kExitKilled = 81;    // A node of the cluster killed this one.

}  // namespace os
