// Multicasts that are sent and not yet ordered, to be sent again to a daemon that comes back.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "common/base/invariant.hpp"

namespace client {

// Holds no more than the sender's window admits, and at most kBlockBytes that are done with.
class KeptMessages {
  public:
    // Numbers go up by one.
    void add(std::uint64_t number, std::span<const std::byte> head, std::span<const iovec> body,
             std::size_t body_bytes) {
        if (blocks_.empty() || blocks_.back().bytes.size() >= kBlockBytes) {
            blocks_.push_back({.first = number, .bytes = {}, .ends = {}});
            blocks_.back().bytes.reserve(head.size() + body_bytes);
        }
        Block& block = blocks_.back();
        INVARIANT(number == block.first + block.ends.size());
        block.bytes.insert(block.bytes.end(), head.begin(), head.end());
        for (const iovec& piece : body) {
            const auto* bytes = static_cast<const std::byte*>(piece.iov_base);
            block.bytes.insert(block.bytes.end(), bytes, bytes + piece.iov_len);
        }
        block.ends.push_back(block.bytes.size());
    }

    // All up to `taken` are ordered.
    void release(std::uint64_t taken) {
        while (!blocks_.empty() &&
               blocks_.front().first + blocks_.front().ends.size() <= taken + 1) {
            blocks_.pop_front();
        }
    }

    // Gives each message after `taken` to `send`, in order.
    template <class Send>
    void for_each_after(std::uint64_t taken, Send send) const {
        for (const Block& block : blocks_) {
            std::uint64_t number = block.first;
            std::size_t start = 0;
            for (const std::size_t end : block.ends) {
                if (number++ > taken) send(std::span(block.bytes).subspan(start, end - start));
                start = end;
            }
        }
    }

  private:
    static constexpr std::size_t kBlockBytes = std::size_t{64} << 10u;

    struct Block {
        std::uint64_t first = 0;
        std::vector<std::byte> bytes;
        std::vector<std::size_t> ends;  // Of each message in `bytes`.
    };
    std::deque<Block> blocks_;
};

}  // namespace client
