// Why a system call failed: what was tried and errno.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "common/base/result.hpp"

namespace os {

struct Error {
    std::string what;  // What was tried, with the name of the file, address or option.
    int code = 0;      // errno, or 0 where there is none.

    // "open /etc/halo/halo.conf: No such file or directory"
    [[nodiscard]] std::string text() const {
        return code == 0 ? what : what + ": " + std::strerror(code);
    }
};

template <class T>
using Result = base::Expected<T, Error>;

// The failure of the call that set errno just now.
[[nodiscard]] inline auto last_error(std::string what) {
    return base::fail(Error{.what = std::move(what), .code = errno});
}

}  // namespace os
