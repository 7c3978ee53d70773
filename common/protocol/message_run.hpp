// Whole messages of one sender to one group that follow each other, in one frame: each is a u16
// length and as many bytes, to the end. What a frame costs is then paid once for many messages.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "common/base/buffer.hpp"
#include "common/base/result.hpp"
#include "common/protocol/ring_api.hpp"

namespace protocol::cpg {

// A longer message goes alone: copying it would cost more than its own frame does.
inline constexpr std::size_t kRunPayloadMax = 4096;
// So that a receiver acknowledges in steps, and users take turns at what goes to the ring.
inline constexpr std::size_t kRunBytesMax = std::size_t{64} << 10u;
inline constexpr std::size_t kRunMessagesMax = 2048;
inline constexpr std::size_t kRunLengthBytes = 2;

// The length in front of a message. Needs kRunLengthBytes of room, and at most kRunPayloadMax.
inline void write_run_length(std::size_t payload_bytes, std::byte* out) {
    out[0] = static_cast<std::byte>(payload_bytes & 0xffu);
    out[1] = static_cast<std::byte>(payload_bytes >> 8u);
}
[[nodiscard]] inline std::size_t read_run_length(const std::byte* from) {
    return std::to_integer<std::size_t>(from[0]) | std::to_integer<std::size_t>(from[1]) << 8u;
}

// At least one message once parsed; what lies in it was checked.
class MessageRun {
  public:
    MessageRun() = default;
    // Needs: `bytes` are `count` messages within the bounds.
    MessageRun(base::Buffer bytes, std::size_t count) : bytes_(std::move(bytes)), count_(count) {}

    // Any bytes. They are shared.
    static base::Expected<MessageRun, FrameError> parse(base::Buffer bytes) {
        if (bytes.size() > kRunBytesMax) return base::fail(FrameError::OutOfRange);
        std::size_t count = 0;
        for (std::size_t at = 0; at < bytes.size(); ++count) {
            if (bytes.size() - at < kRunLengthBytes) return base::fail(FrameError::Truncated);
            const std::size_t length = read_run_length(bytes.data() + at);
            at += kRunLengthBytes;
            if (length > kRunPayloadMax) return base::fail(FrameError::OutOfRange);
            if (length > bytes.size() - at) return base::fail(FrameError::Truncated);
            at += length;
        }
        if (count == 0 || count > kRunMessagesMax) return base::fail(FrameError::OutOfRange);
        return MessageRun(std::move(bytes), count);
    }

    [[nodiscard]] const base::Buffer& bytes() const { return bytes_; }
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] std::size_t payload_bytes() const {
        return bytes_.size() - count_ * kRunLengthBytes;
    }

    // Gives each payload to `take`, in order, as bytes that live as long as this.
    template <class Take>
    void for_each(Take take) const {
        for (std::size_t at = 0; at < bytes_.size();) {
            const std::size_t length = read_run_length(bytes_.data() + at);
            take(bytes_.bytes().subspan(at + kRunLengthBytes, length));
            at += kRunLengthBytes + length;
        }
    }

    // Without the first `count` messages, and those alone. Needs: count <= count().
    [[nodiscard]] MessageRun without_first(std::size_t count) const {
        return {bytes_.slice(end_of(count)), count_ - count};
    }
    [[nodiscard]] MessageRun first(std::size_t count) const {
        return {bytes_.slice(0, end_of(count)), count};
    }

  private:
    // Where the first `count` messages end.
    [[nodiscard]] std::size_t end_of(std::size_t count) const {
        INVARIANT(count <= count_);
        std::size_t at = 0;
        for (std::size_t i = 0; i < count; ++i) {
            at += kRunLengthBytes + read_run_length(bytes_.data() + at);
        }
        return at;
    }

    base::Buffer bytes_;
    std::size_t count_ = 0;
};

}  // namespace protocol::cpg
