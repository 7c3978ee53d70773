// The errors of corotypes.h that cmapd answers with.
#pragma once

#include <cstdint>

namespace cmap {

enum class CsError : std::uint32_t {
    Ok = 1,
    Library = 2,
    Timeout = 5,
    TryAgain = 6,
    InvalidParam = 7,
    Busy = 10,
    Access = 11,
    NotExist = 12,
    NameTooLong = 13,
    Exist = 14,
    NoSpace = 15,
    NoResources = 18,
    NotSupported = 19,
    FailedOperation = 21,
    NoSections = 27
};

}  // namespace cmap
