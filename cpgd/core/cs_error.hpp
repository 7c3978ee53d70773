// The cs_error_t values (corotypes.h) that cpgd answers with.
#pragma once

#include <cstdint>

namespace cpg {

enum class CsError : std::uint32_t {
    Ok = 1,
    Library = 2,
    TryAgain = 6,
    InvalidParam = 7,
    Busy = 10,
    Access = 11,
    NotExist = 12,
    Exist = 14,
    TooManyGroups = 30
};

}  // namespace cpg
