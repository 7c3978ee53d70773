// The C library's functions, in the program itself: the libraries' calls come here, too. Compiled
// with -fno-builtin, or the compiler would make calls of these functions out of them.
#include "tests/rdma/copies.hpp"

namespace copies {
namespace {

std::size_t count = 0;

}  // namespace

std::size_t made() {
    return count;
}

#if defined(__SANITIZE_ADDRESS__)

bool are_counted() {
    return false;
}

}  // namespace copies

#else

bool are_counted() {
    return true;
}

namespace {

void* copy(void* to, const void* from, std::size_t bytes) {
    if (Counted::depth > 0 && bytes >= kBytesMin) ++count;
    auto* out = static_cast<unsigned char*>(to);
    const auto* in = static_cast<const unsigned char*>(from);
    if (out <= in || out >= in + bytes) {
        for (std::size_t i = 0; i < bytes; ++i) {
            out[i] = in[i];
        }
    } else {
        for (std::size_t i = bytes; i > 0; --i) {
            out[i - 1] = in[i - 1];
        }
    }
    return to;
}

}  // namespace
}  // namespace copies

#pragma GCC visibility push(default)
extern "C" {

void* memcpy(void* to, const void* from, std::size_t bytes) {
    return copies::copy(to, from, bytes);
}

void* memmove(void* to, const void* from, std::size_t bytes) {
    return copies::copy(to, from, bytes);
}

void* __memcpy_chk(void* to, const void* from, std::size_t bytes, std::size_t) {
    return copies::copy(to, from, bytes);
}

void* __memmove_chk(void* to, const void* from, std::size_t bytes, std::size_t) {
    return copies::copy(to, from, bytes);
}
}
#pragma GCC visibility pop
#endif
