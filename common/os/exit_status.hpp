// What ringd ends with, beside sysexits.h, for whoever runs it (docs/operations.md).
#pragma once

namespace os {

// A node of the cluster killed this one: the whole node stops, and is not started again by itself.
inline constexpr int kExitKilled = 81;

// The node was shut down by a program: it left for good, and the rest of the node stops.
inline constexpr int kExitShutdown = 83;

// Asked to end so that it is started again: its state is left for the next process.
inline constexpr int kExitRestart = 82;

}  // namespace os
