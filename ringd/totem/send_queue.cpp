#include "ringd/totem/send_queue.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace totem {

void SendQueue::push(Submitted item) {
    INVARIANT(item.payload.size() <= kItemBytesMax);
    bytes_ += item.payload.size();
    (item.urgent ? urgent_ : ordinary_).push_back(std::move(item));
}

std::size_t SendQueue::backlog_bytes() const {
    const std::size_t items = urgent_.size() + ordinary_.size() + (sending_ ? 1 : 0);
    return bytes_ - sent_bytes_ + items * kChunkHeaderBytes;
}

void SendQueue::pack(DataWriter& writer) {
    INVARIANT(!empty());
    while (sending_ || begin_next_item()) {
        const auto room = writer.room();
        if (!room) return;
        const std::size_t left = sending_->payload.size() - sent_bytes_;
        // An item that would be cut here for want of room, but would fit the next packet whole, is
        // better off there: one copy less at each member. The first chunk always goes in.
        const bool fits = left <= *room;
        if (!fits &&
            (*room == 0 || (sent_bytes_ == 0 && writer.chunk_count() > 0 && *room < left / 4))) {
            return;
        }
        const std::size_t length = std::min(left, *room);
        const Chunk chunk{.first = sent_bytes_ == 0,
                          .last = fits,
                          .guarantee = sending_->guarantee,
                          .item_bytes = static_cast<std::uint32_t>(sending_->payload.size()),
                          .offset = 0,
                          .length = length};
        writer.append(chunk, sending_->payload.bytes().subspan(sent_bytes_, length));
        sent_bytes_ += length;
        if (fits) finish_item();
    }
}

void SendQueue::restart_item() {
    sent_bytes_ = 0;
}

bool SendQueue::begin_next_item() {
    std::deque<Submitted>& from = urgent_.empty() ? ordinary_ : urgent_;
    if (from.empty()) return false;
    sending_ = std::move(from.front());
    from.pop_front();
    sent_bytes_ = 0;
    return true;
}

void SendQueue::finish_item() {
    bytes_ -= sending_->payload.size();
    taken_ahead_.insert(sending_->number);
    while (!taken_ahead_.empty() && *taken_ahead_.begin() == taken_ + 1) {
        taken_ahead_.erase(taken_ahead_.begin());
        ++taken_;
    }
    sending_.reset();
    sent_bytes_ = 0;
}

}  // namespace totem
