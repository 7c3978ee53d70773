// What can go wrong in libhalo, and results that say it. Nothing here throws; running out of memory
// ends the program, as elsewhere in C++ without a handler.
#pragma once

#include <cstdint>
#include <tl/expected.hpp>

namespace halo {

// The values are those of cs_error_t.
enum class Error : std::uint32_t {
    Lost = 2,          // The daemon is not there, or the session with it is over.
    TryAgain = 6,      // Nothing was done; later it may work.
    Invalid = 7,       // An argument that makes no sense.
    NoMemory = 8,      // The kernel has none.
    BadHandle = 9,     // Moved from, closed, or inherited over fork().
    Busy = 10,         // A join or leave of the same group is under way.
    Access = 11,       // This user may not.
    NotJoined = 12,    // The group is not joined.
    NameTooLong = 13,  // More than kGroupNameMax bytes.
    Joined = 14,       // This process has joined the group already.
    NoResources = 18,  // No descriptors are left.
    TooBig = 26,       // The message is larger than any may be.
};

// For people.
[[nodiscard]] const char* text(Error error);

template <class T>
using Result = tl::expected<T, Error>;

}  // namespace halo
