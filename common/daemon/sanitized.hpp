// Whether a sanitizer watches this build.
#pragma once

namespace daemon_start {

inline constexpr bool kIsSanitized =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    true;
#else
    false;
#endif

}  // namespace daemon_start
