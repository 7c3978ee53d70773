// The memory that sealed packets lie in while they leave. The kernel has its own copy of what a
// socket sent; an RDMA device reads this very memory later, so a piece stays untouched until every
// link is done with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace transport {

class SendMemory {
  public:
    // Whole pages, which an RDMA device can register. All of it is zero.
    explicit SendMemory(std::size_t bytes);

    struct Piece {
        std::span<std::byte> bytes;
        std::uint64_t end = 0;  // Position behind it; positions only ascend.
    };
    // In one piece, behind the last one. Nothing: too much is still in use. Needs: at most size().
    [[nodiscard]] std::optional<Piece> take(std::size_t bytes);

    // Pieces that end at or before `position` may be written anew.
    void release(std::uint64_t position);
    void release_all() { release(next_); }

    [[nodiscard]] std::span<std::byte> all() const { return {memory_.get(), size_}; }
    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    struct Deleter {
        void operator()(std::byte* memory) const;
    };
    std::size_t size_;
    std::unique_ptr<std::byte, Deleter> memory_;
    std::uint64_t next_ = 0;      // The place in memory is this modulo the size.
    std::uint64_t released_ = 0;  // Never above next_, never more than the size below it.
};

}  // namespace transport
