// What haloctl ends with (docs/man/haloctl.1).
#pragma once

namespace haloctl {

inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;          // It was tried and did not work.
inline constexpr int kUsage = 64;          // The command line is wrong.
inline constexpr int kNotRunning = 69;     // The daemon that was asked does not run.
inline constexpr int kNoAnswer = 75;       // It runs and does not answer.
inline constexpr int kNoPermission = 77;   // This user may not.
inline constexpr int kConfiguration = 78;  // The configuration or the key cannot be used.

}  // namespace haloctl
