// Bytes in several buffers, one after the other: written where they are needed without being put
// together before.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

#include "common/base/buffer.hpp"
#include "common/base/invariant.hpp"

namespace base {

[[nodiscard]] inline std::size_t bytes_of(std::span<const Buffer> pieces) {
    std::size_t bytes = 0;
    for (const Buffer& piece : pieces)
        bytes += piece.size();
    return bytes;
}

// Needs: bytes_of(pieces) <= to.size().
inline void copy_pieces(std::span<const Buffer> pieces, std::span<std::byte> to) {
    INVARIANT(bytes_of(pieces) <= to.size());
    std::size_t at = 0;
    for (const Buffer& piece : pieces) {
        if (!piece.empty()) std::memcpy(to.data() + at, piece.data(), piece.size());
        at += piece.size();
    }
}

[[nodiscard]] inline Buffer joined(std::span<const Buffer> pieces) {
    MutableBuffer whole(bytes_of(pieces));
    copy_pieces(pieces, whole.bytes());
    return std::move(whole).freeze();
}

}  // namespace base
