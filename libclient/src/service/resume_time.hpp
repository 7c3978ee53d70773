// How long a library waits for a daemon that is gone and will be started again.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>

namespace client {

// Milliseconds in the environment: `own` (HALO_CPG_RESUME_MS, …), else HALO_RESUME_MS, else ten
// seconds. 0: the program wants to hear of it, as it does from Corosync's libraries.
inline std::chrono::milliseconds resume_time(const char* own) {
    constexpr std::uint32_t kDefaultMs = 10'000;
    constexpr std::uint32_t kLongestMs = 3'600'000;
    const char* text = ::secure_getenv(own);
    if (text == nullptr) text = ::secure_getenv("HALO_RESUME_MS");
    std::uint32_t ms = kDefaultMs;
    if (text != nullptr) (void)std::from_chars(text, text + std::strlen(text), ms);
    return std::chrono::milliseconds{std::min(ms, kLongestMs)};
}

}  // namespace client
