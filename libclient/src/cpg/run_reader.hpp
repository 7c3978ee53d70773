// A run of messages (protocol::cpg::DeliveredRun) while it comes in: each message can be taken as
// soon as it is there, so that the last one alone waits for the frame's last byte, which keeps the
// application's descriptor readable (ipc/event_stream.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/protocol/cpg_api.hpp"

namespace client {

class RunReader {
  public:
    struct Message {
        std::uint64_t event = 0;
        protocol::cpg::DeliveredRunHeader sender;
        std::span<const std::byte> payload;  // In the memory that was given.
    };

    // A run begins or has begun, and is not at its end.
    [[nodiscard]] bool is_inside() const { return is_inside_; }

    // What is there of the frame, from its beginning; the memory must last until the next call or
    // forget(). Begins a run when none was inside.
    void see(std::span<const std::byte> frame, bool is_whole) {
        is_inside_ = true;
        frame_ = frame;
        is_whole_ = is_whole;
        if (!header_) header_ = protocol::cpg::delivered_run_header(frame_);
    }
    // The memory ends, the place in the run stays.
    void forget() { frame_ = {}; }
    void reset() { *this = {}; }

    // The next message; nothing: more of the frame must be seen, or it is at its end.
    [[nodiscard]] std::optional<Message> next() {
        if (!header_ || at_ >= frame_.size()) return std::nullopt;
        const auto rest = frame_.subspan(at_);
        if (rest.size() < protocol::cpg::kRunLengthBytes) return std::nullopt;
        const std::size_t length = protocol::cpg::read_run_length(rest.data());
        const std::size_t whole = protocol::cpg::kRunLengthBytes + length;
        if (rest.size() < whole) return std::nullopt;
        at_ += whole;
        return Message{.event = header_->event + count_++,
                       .sender = *header_,
                       .payload = rest.subspan(protocol::cpg::kRunLengthBytes, length)};
    }

    // All of a whole frame was taken.
    [[nodiscard]] bool is_at_end() const { return is_whole_ && count_ > 0 && at_ == frame_.size(); }
    // A whole frame that is none.
    [[nodiscard]] bool is_broken() const { return is_whole_ && !is_at_end(); }

  private:
    std::span<const std::byte> frame_;
    std::optional<protocol::cpg::DeliveredRunHeader> header_;
    std::size_t at_ = protocol::cpg::kDeliveredRunHeaderBytes;  // Of the next message in the frame.
    std::uint64_t count_ = 0;                                   // Taken.
    bool is_inside_ = false;
    bool is_whole_ = false;
};

}  // namespace client
