#include "ringd/transport/send_memory.hpp"

#include <cstdlib>
#include <cstring>

#include "common/base/invariant.hpp"

namespace transport {
namespace {

constexpr std::size_t kPageBytes = 4096;

std::byte* pages(std::size_t bytes) {
    void* memory = std::aligned_alloc(kPageBytes, bytes);
    if (memory == nullptr) std::abort();  // As bad_alloc would: there is no going on.
    std::memset(memory, 0, bytes);
    return static_cast<std::byte*>(memory);
}

}  // namespace

void SendMemory::Deleter::operator()(std::byte* memory) const {
    std::free(memory);
}

SendMemory::SendMemory(std::size_t bytes)
    : size_((bytes + kPageBytes - 1) / kPageBytes * kPageBytes), memory_(pages(size_)) {}

std::optional<SendMemory::Piece> SendMemory::take(std::size_t bytes) {
    INVARIANT(bytes <= size_);
    // What does not fit before the end of the memory begins at its start.
    const std::size_t at = static_cast<std::size_t>(next_ % size_);
    const std::size_t skipped = at + bytes <= size_ ? 0 : size_ - at;
    if (next_ == released_) {
        // All is free: begin at the start, which is in the cache.
        next_ += at == 0 ? 0 : size_ - at;
        released_ = next_;
    } else {
        if (next_ + skipped + bytes - released_ > size_) return std::nullopt;
        next_ += skipped;
    }
    const auto place = static_cast<std::size_t>(next_ % size_);
    next_ += bytes;
    return Piece{.bytes = all().subspan(place, bytes), .end = next_};
}

void SendMemory::release(std::uint64_t position) {
    INVARIANT(position <= next_);
    if (position > released_) released_ = position;
}

}  // namespace transport
