// Where C calls C++: no exception passes, and a child of fork() is stopped before any lock.
#pragma once

#include <cxxabi.h>

#include <new>
#include <utility>

#include "corosync/corotypes.h"
#include "libclient/src/base/cancellation.hpp"

namespace client {

// Runs the body of a function of the C interface. Not noexcept: pthread_cancel() unwinds a waiting
// thread through here (glibc's forced unwind), which must go on.
template <class Body>
cs_error_t api_boundary(Body&& body) {
    const CancellationShield shield;
    try {
        return std::forward<Body>(body)();
    } catch (const abi::__forced_unwind&) {
        throw;
    } catch (const std::bad_alloc&) {
        return CS_ERR_NO_MEMORY;
    } catch (...) {
        return CS_ERR_LIBRARY;
    }
}

}  // namespace client
