#include "common/zmtp/outgoing.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/base/invariant.hpp"
#include "common/zmtp/wire.hpp"

namespace zmtp {

bool Outgoing::push(std::span<const std::byte> head, const base::Buffer& body) {
    const std::size_t size = head.size() + body.size();
    if (queued_bytes_ > 0 && queued_bytes_ + size > queue_bytes_max_) return false;
    std::array<std::byte, kFrameHeadBytesMax> frame_head{};
    const std::size_t frame_head_bytes = encode_message_head(size, frame_head.data());
    stage(std::span(frame_head).first(frame_head_bytes));
    stage(head);
    if (body.size() < kReferredBytesMin) {
        stage(body.bytes());
    } else {
        close_stage();
        pieces_.push_back(body);
        queued_bytes_ += body.size();
    }
    return true;
}

void Outgoing::push_raw(std::span<const std::byte> frame) {
    stage(frame);
}

void Outgoing::stage(std::span<const std::byte> bytes) {
    queued_bytes_ += bytes.size();
    while (!bytes.empty()) {
        if (staged_to_ == stage_.size()) {
            close_stage();
            stage_ = base::MutableBuffer(kStageBytes);
            staged_from_ = staged_to_ = 0;
        }
        const std::size_t part = std::min(bytes.size(), stage_.size() - staged_to_);
        std::memcpy(stage_.data() + staged_to_, bytes.data(), part);
        staged_to_ += part;
        bytes = bytes.subspan(part);
    }
}

void Outgoing::close_stage() {
    if (staged_from_ == staged_to_) return;
    pieces_.push_back(stage_.share(staged_from_, staged_to_ - staged_from_));
    staged_from_ = staged_to_;
}

std::size_t Outgoing::gather(std::span<std::span<const std::byte>> pieces) {
    close_stage();
    const std::size_t count = std::min(pieces.size(), pieces_.size());
    for (std::size_t i = 0; i < count; ++i) {
        pieces[i] = pieces_[i].bytes().subspan(i == 0 ? front_written_ : 0);
    }
    return count;
}

void Outgoing::written(std::size_t bytes) {
    INVARIANT(bytes <= queued_bytes_);
    queued_bytes_ -= bytes;
    while (bytes > 0) {
        INVARIANT(!pieces_.empty());
        const std::size_t left = pieces_.front().size() - front_written_;
        const std::size_t part = std::min(bytes, left);
        front_written_ += part;
        bytes -= part;
        if (part < left) return;
        pieces_.pop_front();
        front_written_ = 0;
    }
    if (pieces_.empty() && staged_from_ == staged_to_ && !stage_.is_shared()) {
        staged_from_ = staged_to_ = 0;  // The block is all ours again.
    }
}

}  // namespace zmtp
