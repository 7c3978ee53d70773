// Reading and writing the frames of the local sockets: what base::ByteReader gives, plus counted
// texts, flags, the ids that all frames use, and a rest that shares the frame's memory.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/bytes.hpp"
#include "common/base/ids.hpp"
#include "common/protocol/ring_api.hpp"

namespace protocol {

// Reads hostile bytes. The first thing that is wrong is kept, and from there on everything reads as
// 0 or empty, so that a decoder reads all its fields first and asks once.
class FrameReader {
  public:
    explicit FrameReader(const base::Buffer& frame) : frame_(frame), reader_(frame.bytes()) {}

    template <std::unsigned_integral T>
    T read() {
        const T value = reader_.read<T>();
        if (!reader_.ok()) refuse(FrameError::Truncated);
        return value;
    }

    // 0 or 1, so that one value has one encoding.
    bool read_bool() {
        const auto value = read<std::uint8_t>();
        if (value > 1) refuse(FrameError::OutOfRange);
        return value == 1;
    }

    // An enumerator that travels as one byte; `last` is the greatest one and there is no gap.
    template <class E>
    E read_enum(E last) {
        const auto value = read<std::uint8_t>();
        if (value > static_cast<std::uint8_t>(last)) {
            refuse(FrameError::OutOfRange);
            return E{};
        }
        return static_cast<E>(value);
    }

    base::NodeId read_node() { return base::NodeId{read<std::uint32_t>()}; }
    base::RingId read_ring() {
        const auto seq = read<std::uint64_t>();
        return {.seq = seq, .representative = read_node()};
    }

    // u16 length, then the bytes, which may be any.
    std::string read_text(std::size_t bytes_max) {
        const std::size_t length = read<std::uint16_t>();
        if (length > bytes_max) refuse(FrameError::OutOfRange);
        const base::Buffer text = read_bytes(length);
        std::string copy(text.size(), '\0');
        if (!text.empty()) std::memcpy(copy.data(), text.data(), text.size());
        return copy;
    }

    // u32 count of items that take at least `item_bytes` each: a peer must not choose how much
    // memory is reserved.
    std::size_t read_count(std::size_t item_bytes) {
        const std::size_t count = read<std::uint32_t>();
        if (count > reader_.remaining() / item_bytes) {
            refuse(FrameError::Truncated);
            return 0;
        }
        return count;
    }

    // Shares the frame's memory.
    base::Buffer read_bytes(std::size_t length) {
        if (error_ || length > reader_.remaining()) {
            refuse(FrameError::Truncated);
            return {};
        }
        const std::size_t at = frame_.size() - reader_.remaining();
        reader_ = base::ByteReader(frame_.bytes().subspan(at + length));
        return frame_.slice(at, length);
    }
    base::Buffer read_rest() { return read_bytes(reader_.remaining()); }

    // What was not read yet; as long as the frame that was given.
    [[nodiscard]] std::span<const std::byte> rest() const {
        return frame_.bytes().subspan(frame_.size() - reader_.remaining());
    }
    // Needs: bytes <= remaining().
    void skip(std::size_t bytes) { reader_ = base::ByteReader(rest().subspan(bytes)); }

    void refuse(FrameError error) {
        if (!error_) error_ = error;
        reader_ = base::ByteReader({});
    }

    // What is wrong with the frame, after all its fields were read.
    [[nodiscard]] std::optional<FrameError> finish() {
        if (!error_ && reader_.remaining() > 0) error_ = FrameError::TrailingBytes;
        return error_;
    }
    [[nodiscard]] std::optional<FrameError> error() const { return error_; }
    [[nodiscard]] std::size_t remaining() const { return reader_.remaining(); }

  private:
    base::Buffer frame_;
    base::ByteReader reader_;
    std::optional<FrameError> error_;
};

// Writes our own frames into memory that grows.
class FrameWriter {
  public:
    // `expected`: bytes that suffice for most; more only costs a copy.
    explicit FrameWriter(std::size_t expected) : memory_(expected) {}

    template <std::unsigned_integral T>
    void write(T value) {
        base::ByteWriter(room(sizeof(T))).write(value);
        written_ += sizeof(T);
    }
    void write_bool(bool value) { write(static_cast<std::uint8_t>(value ? 1 : 0)); }
    template <class E>
    void write_enum(E value) {
        write(static_cast<std::uint8_t>(value));
    }
    void write_node(base::NodeId node) { write(node.value()); }
    void write_ring(const base::RingId& ring) {
        write(ring.seq);
        write_node(ring.representative);
    }
    void write_text(std::string_view text) {
        INVARIANT(text.size() <= UINT16_MAX);
        write(static_cast<std::uint16_t>(text.size()));
        write_bytes(std::as_bytes(std::span(text)));
    }
    void write_count(std::size_t count) {
        INVARIANT(count <= UINT32_MAX);
        write(static_cast<std::uint32_t>(count));
    }
    void write_bytes(std::span<const std::byte> bytes) {
        if (bytes.empty()) return;
        std::memcpy(room(bytes.size()).data(), bytes.data(), bytes.size());
        written_ += bytes.size();
    }

    // Bytes that the caller writes, all of them.
    [[nodiscard]] std::span<std::byte> extend(std::size_t bytes) {
        const auto added = room(bytes).first(bytes);
        written_ += bytes;
        return added;
    }

    [[nodiscard]] std::size_t written() const { return written_; }
    [[nodiscard]] base::Buffer finish() && { return std::move(memory_).freeze(written_); }

  private:
    std::span<std::byte> room(std::size_t bytes) {
        if (memory_.size() - written_ < bytes) {
            base::MutableBuffer larger(std::max(2 * memory_.size(), written_ + bytes));
            if (written_ > 0) std::memcpy(larger.data(), memory_.data(), written_);
            memory_ = std::move(larger);
        }
        return memory_.bytes().subspan(written_);
    }

    base::MutableBuffer memory_;
    std::size_t written_ = 0;
};

// A header and the payload that follows it, in one.
[[nodiscard]] inline base::Buffer joined(const base::Buffer& head, const base::Buffer& payload) {
    if (payload.empty()) return head;
    FrameWriter writer(head.size() + payload.size());
    writer.write_bytes(head.bytes());
    writer.write_bytes(payload.bytes());
    return std::move(writer).finish();
}

}  // namespace protocol
