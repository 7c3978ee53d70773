#include "ringd/stream/event_log.hpp"

#include "common/base/invariant.hpp"

namespace stream {

void EventLog::append(std::variant<protocol::Transitional, protocol::View, protocol::Batch> what) {
    EventFrame frame;
    if (auto* batch = std::get_if<protocol::Batch>(&what)) frame.body = std::move(batch->payload);
    const protocol::Cursor cursor{last().value() + 1};
    frame.head = protocol::encode_header(
        protocol::RingFrame{protocol::Event{.cursor = cursor, .what = std::move(what)}});
    retained_bytes_ += frame.bytes();
    frames_.push_back(std::move(frame));
}

bool EventLog::acknowledge(protocol::Cursor applied) {
    if (applied.value() > acknowledged_ + sent_) return false;
    while (acknowledged_ < applied.value()) {
        const std::size_t bytes = frames_.front().bytes();
        retained_bytes_ -= bytes;
        in_flight_bytes_ -= bytes;
        frames_.pop_front();
        --sent_;
        ++acknowledged_;
    }
    return true;
}

bool EventLog::resume(protocol::Cursor applied) {
    if (applied < acknowledged() || applied > last()) return false;
    // It may have applied more than it could acknowledge, and never what was not sent; that can't
    // be told apart here, and does no harm but to itself.
    sent_ = frames_.size();
    in_flight_bytes_ = retained_bytes_;
    const bool known = acknowledge(applied);
    INVARIANT(known);
    sent_ = 0;
    in_flight_bytes_ = 0;
    return true;
}

std::optional<EventFrame> EventLog::take_next(std::size_t in_flight_max) {
    if (sent_ == frames_.size()) return std::nullopt;
    const EventFrame& frame = frames_[sent_];
    const bool has_credit =
        in_flight_bytes_ == 0 || in_flight_bytes_ + frame.bytes() <= in_flight_max;
    if (!has_credit) return std::nullopt;
    ++sent_;
    in_flight_bytes_ += frame.bytes();
    return frame;
}

void EventLog::clear() {
    acknowledged_ += frames_.size();
    frames_.clear();
    sent_ = 0;
    retained_bytes_ = in_flight_bytes_ = 0;
}

}  // namespace stream
