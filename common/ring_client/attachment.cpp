#include "common/ring_client/attachment.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace ring {
namespace {

// Credit is given when this part of it is used.
constexpr std::size_t kCreditsAWindow = 2;

// About the bytes of its frame, not fewer.
std::size_t bytes_of(const protocol::Event& event) {
    constexpr std::size_t kHeaderBytes = 64;
    if (const auto* batch = std::get_if<protocol::Batch>(&event.what))
        return kHeaderBytes + batch->payload.size();
    if (const auto* view = std::get_if<protocol::View>(&event.what)) {
        const std::size_t nodes =
            view->left.size() + view->joined.size() + view->ring_members.size();
        return kHeaderBytes + nodes * 4 + view->members.size() * 12;
    }
    return kHeaderBytes + std::get<protocol::Transitional>(event.what).members.size() * 4;
}

}  // namespace

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
    event_bytes_ = attached.event_bytes;
    untold_bytes_ = 0;
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
    untold_bytes_ += bytes_of(event);
}

void Attachment::settle(std::uint64_t taken) {
    while (!waiting_.empty() && waiting_.front().number <= taken) {
        outstanding(waiting_.front().urgent) -= waiting_.front().message.payload.size();
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

bool Attachment::fits_urgent(std::size_t payload_bytes) const {
    if (!is_attached_) return false;
    return outstanding_urgent_bytes_ == 0 ||
           outstanding_urgent_bytes_ + payload_bytes <= protocol::kUrgentBytesMax;
}

ServiceMessage Attachment::submit(base::Buffer payload, bool safe, bool urgent) {
    INVARIANT(urgent ? fits_urgent(payload.size()) : fits(payload.size()));
    std::uint64_t& after = urgent ? last_urgent_ : last_ordinary_;
    const protocol::Submit submit{.number = ++submitted_,
                                  .after = after,
                                  .safe = safe,
                                  .urgent = urgent,
                                  .incarnation = incarnation_,
                                  .channel = channel_,
                                  .payload = std::move(payload)};
    after = submit.number;
    outstanding(urgent) += submit.payload.size();
    ServiceMessage message{.head = protocol::encode_header(protocol::ServiceFrame{submit}),
                           .payload = submit.payload};
    waiting_.push_back({.number = submit.number, .urgent = urgent, .message = message});
    return message;
}

std::optional<base::Buffer> Attachment::acknowledge(protocol::Cursor applied) {
    // Refused and not attached again: what was applied is of the attachment before.
    if (!is_attached_) return std::nullopt;
    INVARIANT(applied <= received_);
    if (applied <= acknowledged_) return std::nullopt;
    acknowledged_ = applied;
    if (applied == received_) untold_bytes_ = 0;
    return protocol::encode(protocol::ServiceFrame{protocol::Ack{.applied = applied}});
}

std::optional<base::Buffer> Attachment::give_credit() {
    if (!is_attached_ || untold_bytes_ == 0) return std::nullopt;
    if (untold_bytes_ < event_bytes_ / kCreditsAWindow) return std::nullopt;
    untold_bytes_ = 0;
    return protocol::encode(protocol::ServiceFrame{protocol::Received{.event = received_}});
}

}  // namespace ring
