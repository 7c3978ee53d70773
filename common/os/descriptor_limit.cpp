#include "common/os/descriptor_limit.hpp"

#include <sys/resource.h>

namespace os {

Result<void> raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return last_error("getrlimit RLIMIT_NOFILE");
    if (limit.rlim_cur == limit.rlim_max) return {};
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return last_error("setrlimit RLIMIT_NOFILE");
    return {};
}

}  // namespace os
