// Multicasts that are sent and not yet ordered, to be sent again to a daemon that comes back.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "common/base/invariant.hpp"

namespace client {

// Holds no more than the sender's window admits, at most kBlockBytes that are done with, and spare
// memory of kSpareBytes (fresh memory costs a page fault for each 4 KiB).
class KeptMessages {
  public:
    // Numbers go up by one.
    void add(std::uint64_t number, std::span<const std::byte> head, std::span<const iovec> body,
             std::size_t body_bytes) {
        if (blocks_.empty() || blocks_.back().bytes.size() >= kBlockBytes) {
            blocks_.push_back({.first = number, .bytes = spare_block(), .ends = {}});
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
            keep_spare(std::move(blocks_.front().bytes));
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
    static constexpr std::size_t kSpareBytes = std::size_t{4} << 20u;

    std::vector<std::byte> spare_block() {
        if (spare_.empty()) return {};
        std::vector<std::byte> block = std::move(spare_.back());
        spare_.pop_back();
        spare_bytes_ -= block.capacity();
        return block;
    }
    void keep_spare(std::vector<std::byte> block) {
        if (spare_bytes_ + block.capacity() > kSpareBytes) return;
        block.clear();
        spare_bytes_ += block.capacity();
        spare_.push_back(std::move(block));
    }

    struct Block {
        std::uint64_t first = 0;
        std::vector<std::byte> bytes;
        std::vector<std::size_t> ends;  // Of each message in `bytes`.
    };
    std::deque<Block> blocks_;
    std::vector<std::vector<std::byte>> spare_;
    std::size_t spare_bytes_ = 0;
};

}  // namespace client
