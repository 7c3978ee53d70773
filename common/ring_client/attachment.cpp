#include "common/ring_client/attachment.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace ring {

Attachment::Attachment(std::string channel, const ResumePoint& from)
    : channel_(std::move(channel)),
      incarnation_(from.incarnation),
      received_(from.applied),
      acknowledged_(from.applied),
      submitted_is_known_(false) {}

base::Buffer Attachment::hello() const {
    return protocol::encode(protocol::ServiceFrame{protocol::Attach{
        .role = protocol::Attach::Role::Service,
        .channel = channel_,
        .incarnation = incarnation_,
        .applied = received_,
        .submitted = submitted_is_known_ ? submitted_ : protocol::kSubmittedUnknown}});
}

// ---------------------------------------------------------------- what ringd says

void Attachment::attached(const protocol::Attached& attached, std::vector<ServiceMessage>& again) {
    is_attached_ = true;
    window_bytes_ = attached.window_bytes;
    if (!submitted_is_known_) {
        submitted_is_known_ = true;
        last_ordinary_ = attached.last_ordinary;
        last_urgent_ = attached.last_urgent;
        submitted_ = std::max(last_ordinary_, last_urgent_);
    }
    settle(attached.taken);
    // What ringd has already, it drops.
    for (const Waiting& waiting : waiting_) {
        again.push_back(waiting.message);
    }
}

void Attachment::refused(const protocol::Refused& refused, protocol::Incarnation fresh) {
    if (refused.afresh) *this = Attachment(std::move(channel_), fresh);
    is_attached_ = false;
}

void Attachment::taken(const protocol::Taken& taken) {
    window_bytes_ = taken.window_bytes;
    settle(taken.number);
}

void Attachment::received(const protocol::Event& event) {
    INVARIANT(event.cursor.value() == received_.value() + 1);
    received_ = event.cursor;
}

void Attachment::settle(std::uint64_t taken) {
    while (!waiting_.empty() && waiting_.front().number <= taken) {
        outstanding_bytes_ -= waiting_.front().message.payload.size();
        waiting_.pop_front();
    }
}

// ---------------------------------------------------------------- what the service says

std::size_t Attachment::room() const {
    if (!is_attached_ || outstanding_bytes_ >= window_bytes_) return 0;
    return window_bytes_ - outstanding_bytes_;
}

bool Attachment::fits(std::size_t payload_bytes) const {
    if (room() == 0) return false;
    return outstanding_bytes_ == 0 || payload_bytes <= room();
}

ServiceMessage Attachment::submit(base::Buffer payload, bool safe, bool urgent) {
    INVARIANT(fits(payload.size()));
    std::uint64_t& after = urgent ? last_urgent_ : last_ordinary_;
    const protocol::Submit submit{.number = ++submitted_,
                                  .after = after,
                                  .safe = safe,
                                  .urgent = urgent,
                                  .incarnation = incarnation_,
                                  .channel = channel_,
                                  .payload = std::move(payload)};
    after = submit.number;
    outstanding_bytes_ += submit.payload.size();
    ServiceMessage message{.head = protocol::encode_header(protocol::ServiceFrame{submit}),
                           .payload = submit.payload};
    waiting_.push_back({.number = submit.number, .message = message});
    return message;
}

std::optional<base::Buffer> Attachment::acknowledge(protocol::Cursor applied) {
    INVARIANT(applied <= received_);
    if (applied <= acknowledged_ || !is_attached_) return std::nullopt;
    acknowledged_ = applied;
    return protocol::encode(protocol::ServiceFrame{protocol::Ack{.applied = applied}});
}

}  // namespace ring
