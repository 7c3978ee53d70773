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
    waiting_bytes_ += frame.bytes();
    frames_.push_back(std::move(frame));
}

bool EventLog::acknowledge(protocol::Cursor applied) {
    if (applied.value() > acknowledged_ + sent_) return false;
    while (acknowledged_ < applied.value()) {
        const std::size_t bytes = frames_.front().bytes();
        retained_bytes_ -= bytes;
        if (received_ > 0) {
            --received_;
        } else {
            in_flight_bytes_ -= bytes;
            waiting_bytes_ -= bytes;
        }
        frames_.pop_front();
        --sent_;
        ++acknowledged_;
    }
    return true;
}

bool EventLog::receive(protocol::Cursor event) {
    if (event.value() > acknowledged_ + sent_) return false;
    for (; acknowledged_ + received_ < event.value(); ++received_) {
        in_flight_bytes_ -= frames_[received_].bytes();
        waiting_bytes_ -= frames_[received_].bytes();
    }
    return true;
}

bool EventLog::resume(protocol::Cursor applied) {
    if (applied < acknowledged() || applied > last()) return false;
    // It may have applied more than it could acknowledge, and never what was not sent; that can't
    // be told apart here, and does no harm but to itself.
    received_ = 0;
    sent_ = frames_.size();
    in_flight_bytes_ = waiting_bytes_ = retained_bytes_;
    const bool known = acknowledge(applied);
    INVARIANT(known);
    sent_ = 0;
    in_flight_bytes_ = 0;
    return true;
}

std::optional<EventFrame> EventLog::take_next(std::size_t in_flight_max) {
    if (sent_ == frames_.size()) return std::nullopt;
    // Also beyond it, by one: a service says what it has when a part of the credit is used up, and
    // an event larger than what is left must not wait for more.
    if (in_flight_bytes_ >= in_flight_max) return std::nullopt;
    const EventFrame& frame = frames_[sent_];
    ++sent_;
    in_flight_bytes_ += frame.bytes();
    return frame;
}

void EventLog::clear() {
    acknowledged_ += frames_.size();
    frames_.clear();
    received_ = sent_ = 0;
    retained_bytes_ = in_flight_bytes_ = waiting_bytes_ = 0;
}

}  // namespace stream
