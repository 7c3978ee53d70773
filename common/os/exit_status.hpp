// What ringd ends with, beside sysexits.h, for whoever runs it (docs/operations.md).
#pragma once

namespace os {

// A node of the cluster killed this one: the whole node stops, and is not started again by itself.
inline constexpr int kExitKilled = 81;

}  // namespace os
