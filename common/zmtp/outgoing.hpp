// What is to be written to a ZMTP peer: a bounded queue of messages, laid out so that one writev
// carries many. Small messages are copied side by side into one block (an iovec of its own costs a
// 64-byte message more than the copy); the body of a large one is referred to. Pure: no socket.
#pragma once

#include <cstddef>
#include <deque>
#include <span>

#include "common/base/buffer.hpp"

namespace zmtp {

class Outgoing {
  public:
    explicit Outgoing(std::size_t queue_bytes_max) : queue_bytes_max_(queue_bytes_max) {}

    // One message of `head` and then `body`. False: the queue is full and nothing was taken. An
    // empty queue takes a message of any size.
    [[nodiscard]] bool push(std::span<const std::byte> head, const base::Buffer& body);

    // Bytes that are a frame already, whatever is queued: a command of ours.
    void push_raw(std::span<const std::byte> frame);

    // The next bytes to write, at most `pieces.size()` pieces; gives how many.
    std::size_t gather(std::span<std::span<const std::byte>> pieces);
    // So many of them were written.
    void written(std::size_t bytes);

    [[nodiscard]] std::size_t queued_bytes() const { return queued_bytes_; }
    [[nodiscard]] bool empty() const { return queued_bytes_ == 0; }

  private:
    // A body from this size on is not copied: measured, a copy of 4 KiB costs about as much as the
    // kernel's handling of one more iovec and the later free.
    static constexpr std::size_t kReferredBytesMin = 4096;
    static constexpr std::size_t kStageBytes = std::size_t{64} << 10u;

    void stage(std::span<const std::byte> bytes);
    void close_stage();

    std::size_t queue_bytes_max_;
    std::size_t queued_bytes_ = 0;
    std::deque<base::Buffer> pieces_;
    std::size_t front_written_ = 0;  // Bytes of the first piece that were written.

    base::MutableBuffer stage_{0};  // Of kStageBytes once something is staged.
    std::size_t staged_from_ = 0;   // [from, to) is staged and not yet a piece.
    std::size_t staged_to_ = 0;
};

}  // namespace zmtp
