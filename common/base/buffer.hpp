// Immutable bytes with several owners, so that what arrived in one packet can be stored, delivered
// and sent again without a copy. One thread: the count of owners is not atomic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <utility>

#include "common/base/invariant.hpp"

namespace base {

// A view of `size()` bytes that keeps the memory they lie in alive. Copying and slicing share that
// memory: a small slice of a large buffer keeps all of it.
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Buffer& other) : block_(other.block_), data_(other.data_), size_(other.size_) {
        if (block_ != nullptr) ++block_->owners;
    }
    Buffer(Buffer&& other) noexcept
        : block_(std::exchange(other.block_, nullptr)),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer other) noexcept {
        std::swap(block_, other.block_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Buffer() { leave(block_); }

    static Buffer copy_of(std::span<const std::byte> bytes);

    // The owners of a piece of memory. Memory that is not of the heap has a block of its own kind,
    // whose first owner is who makes the Buffer or MutableBuffer of it.
    struct Block {
        std::uint64_t owners = 1;
        void (*give_back)(Block* block) noexcept =
            nullptr;  // After the last one. Null: of the heap.
    };
    // Takes over an owner of `block`, whose memory `bytes` are in.
    [[nodiscard]] static Buffer of(Block& block, std::span<const std::byte> bytes) {
        Buffer made;
        made.block_ = &block;
        made.data_ = bytes.data();
        made.size_ = bytes.size();
        return made;
    }

    [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
    [[nodiscard]] const std::byte* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }

    // Shares the memory. Needs: offset + length <= size().
    [[nodiscard]] Buffer slice(std::size_t offset, std::size_t length) const {
        INVARIANT(offset <= size_);
        INVARIANT(length <= size_ - offset);
        Buffer part(*this);
        part.data_ += offset;
        part.size_ = length;
        return part;
    }
    [[nodiscard]] Buffer slice(std::size_t offset) const {
        INVARIANT(offset <= size_);
        return slice(offset, size_ - offset);
    }

  private:
    friend class MutableBuffer;

    static void leave(Block* block) {
        if (block == nullptr || --block->owners > 0) return;
        if (block->give_back == nullptr) return std::free(block);
        block->give_back(block);
    }

    Block* block_ = nullptr;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

// The one writer of new bytes; `freeze` ends the writing, `share` ends it for a part. Uninitialized
// until written.
class MutableBuffer {
  public:
    explicit MutableBuffer(std::size_t size) : size_(size) {
        auto* memory = std::malloc(sizeof(Buffer::Block) + size);
        if (memory == nullptr) std::abort();  // As bad_alloc would: there is no going on.
        block_ = new (memory) Buffer::Block();
        data_ = reinterpret_cast<std::byte*>(block_ + 1);
    }
    // As Buffer::of().
    MutableBuffer(Buffer::Block& block, std::span<std::byte> bytes)
        : block_(&block), data_(bytes.data()), size_(bytes.size()) {}
    MutableBuffer(MutableBuffer&& other) noexcept
        : block_(std::exchange(other.block_, nullptr)),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    MutableBuffer& operator=(MutableBuffer&& other) noexcept {
        std::swap(block_, other.block_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    MutableBuffer(const MutableBuffer&) = delete;
    MutableBuffer& operator=(const MutableBuffer&) = delete;
    ~MutableBuffer() { Buffer::leave(block_); }

    [[nodiscard]] std::byte* data() { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::span<std::byte> bytes() { return {data(), size_}; }

    // Bytes that are not written again while a Buffer holds them; the rest still may be. Needs:
    // offset + length <= size().
    [[nodiscard]] Buffer share(std::size_t offset, std::size_t length) {
        INVARIANT(offset <= size_);
        INVARIANT(length <= size_ - offset);
        Buffer part;
        part.block_ = block_;
        part.data_ = data() + offset;
        part.size_ = length;
        ++block_->owners;
        return part;
    }
    // Whether a shared part is still held: if not, all of it may be written anew.
    [[nodiscard]] bool is_shared() const { return block_->owners > 1; }

    // Gives up writing; only the first `length` bytes count. Needs: length <= size().
    [[nodiscard]] Buffer freeze(std::size_t length) && {
        INVARIANT(length <= size_);
        Buffer frozen;
        frozen.data_ = data();
        frozen.size_ = length;
        frozen.block_ = std::exchange(block_, nullptr);
        size_ = 0;
        return frozen;
    }
    [[nodiscard]] Buffer freeze() && {
        const std::size_t length = size_;
        return std::move(*this).freeze(length);
    }

  private:
    Buffer::Block* block_ = nullptr;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

inline Buffer Buffer::copy_of(std::span<const std::byte> bytes) {
    MutableBuffer copy(bytes.size());
    if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
    return std::move(copy).freeze();
}

}  // namespace base
