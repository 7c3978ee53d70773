// The events of a session: taken one by one from what cpgd sends, also from the midst of a run.
#include <utility>

#include "libclient/src/cpg/answers.hpp"
#include "libclient/src/cpg/session.hpp"

namespace client {

namespace cpg = protocol::cpg;
using Part = cpg::Mcast::Part;

namespace {

// How many times what may be held back for ever is, while more has come.
constexpr std::size_t kAckTimesAmidst = 4;

}  // namespace

cs_error_t CpgSession::next_event(CpgEvent& event, Wait wait) {
    for (;;) {
        const cs_error_t taken = take_event(event);
        if (taken != CS_ERR_TRY_AGAIN || wait == Wait::Never) return taken;
        (void)wait_readable(event_fd_, std::nullopt);
    }
}

cs_error_t CpgSession::take_event(CpgEvent& event) {
    if (const cs_error_t opened = open_events(); opened != CS_OK) return opened;
    for (;;) {
        const std::uint32_t connection = connection_;
        const cs_error_t taken = read_event(event);
        if (taken != CS_ERR_LIBRARY || closing_ || !resume(connection)) return taken;
    }
}

cs_error_t CpgSession::read_event(CpgEvent& event) {
    const std::lock_guard lock(events_mutex_);
    if (lost_) return CS_ERR_LIBRARY;
    if (tell_resumed_) {
        // The answer to EventsHere, which kept the descriptor readable until now.
        const auto answer = events_->next();
        if (!answer) return failed(answer.error());
        if (!*answer) return CS_ERR_TRY_AGAIN;
        // A daemon that knows nothing of us any more is already another one.
        if (!welcome_in(**answer)) return CS_ERR_LIBRARY;
        tell_resumed_ = false;
        event.what = CpgEvent::Resumed{};
        return CS_OK;
    }
    for (;;) {
        if (run_.is_inside()) {
            const cs_error_t taken = take_from_run(event);
            if (taken != CS_ERR_TRY_AGAIN) return taken;
        }
        auto message = events_->take();
        if (!message) return failed(message.error());
        if (*message) {
            if (!cpg::begins_delivered_run((*message)->bytes())) {
                const cs_error_t taken = take_frame(event, **message);
                if (taken != CS_ERR_TRY_AGAIN) return taken;
                continue;
            }
            run_frame_ = **message;
            run_.see(run_frame_.bytes(), true);
            continue;
        }
        // Messages of a run are taken as they come.
        const auto begun = events_->begun();
        if (cpg::begins_delivered_run(begun)) {
            run_.see(begun, false);
            const cs_error_t taken = take_from_run(event);
            if (taken != CS_ERR_TRY_AGAIN) return taken;
            run_.forget();
        }
        const auto more = events_->read();
        if (!more) return failed(more.error());
        if (!*more) return CS_ERR_TRY_AGAIN;
    }
}

// CS_ERR_TRY_AGAIN: none of its messages is there, or it has ended.
cs_error_t CpgSession::take_from_run(CpgEvent& event) {
    while (const auto message = run_.next()) {
        if (message->event <= last_event_) continue;  // Again, after a daemon came back.
        if (message->event != last_event_ + 1) return lost();
        last_event_ = message->event;
        event.message.assign(message->payload.begin(), message->payload.end());
        event.what = CpgEvent::Message{.group = message->sender.handle,
                                       .node = message->sender.node,
                                       .pid = message->sender.pid};
        acknowledge(last_event_, message->payload.size());
        if (run_.is_at_end()) end_run();
        return CS_OK;
    }
    if (run_.is_broken()) return lost();
    if (run_.is_at_end()) end_run();
    return CS_ERR_TRY_AGAIN;
}

void CpgSession::end_run() {
    run_.reset();
    run_frame_ = {};
}

// CS_ERR_TRY_AGAIN: it was taken before.
cs_error_t CpgSession::take_frame(CpgEvent& event, const base::Buffer& message) {
    auto frame = cpg::decode_cpgd_frame(message);
    if (!frame) return lost();
    if (const auto* in_area = std::get_if<cpg::DeliveredInArea>(&*frame))
        return take_from_area(event, *in_area);
    auto* taken = std::get_if<cpg::SessionEvent>(&*frame);
    if (taken == nullptr) return lost();
    const cs_error_t counted = count_event(taken->event);
    if (counted != CS_OK) return counted;
    take(event, std::move(*taken));
    acknowledge(last_event_, message.size());
    return CS_OK;
}

cs_error_t CpgSession::count_event(std::uint64_t event) {
    if (event <= last_event_) return CS_ERR_TRY_AGAIN;  // After a daemon came back.
    if (event != last_event_ + 1) return lost();
    last_event_ = event;
    return CS_OK;
}

cs_error_t CpgSession::take_from_area(CpgEvent& event, const cpg::DeliveredInArea& taken) {
    if (!area_) area_ = os::ForeignMemory::map(events_->take_descriptor());
    if (!area_) {
        // We have no descriptor or memory left for it. Again, in frames, on another connection.
        takes_area_ = false;
        return CS_ERR_LIBRARY;
    }
    const auto bytes = area_->bytes(taken.offset, taken.payload_bytes);
    if (!bytes) return lost();
    const cs_error_t counted = count_event(taken.event);
    if (counted != CS_OK) return counted;
    take_message(event, taken.delivered, *bytes);
    acknowledge(last_event_, bytes->size());
    return CS_OK;
}

// The message is copied: programs change what they get, fork while they have it, and take the next
// one in another thread.
void CpgSession::take_message(CpgEvent& event, const cpg::Delivered& part,
                              std::span<const std::byte> payload) {
    event.what = CpgEvent::Nothing{};
    if (part.part == Part::Whole) {
        event.message.assign(payload.begin(), payload.end());
    } else if (auto whole = reassembly_.add(part, payload)) {
        event.message = *std::move(whole);
    } else {
        return;
    }
    event.what = CpgEvent::Message{.group = part.handle, .node = part.node, .pid = part.pid};
}

void CpgSession::take(CpgEvent& event, cpg::SessionEvent taken) {
    event.what = CpgEvent::Nothing{};
    if (const auto* part = std::get_if<cpg::Delivered>(&taken.what)) {
        take_message(event, *part, part->payload.bytes());
    } else if (auto* confchg = std::get_if<cpg::Confchg>(&taken.what)) {
        for (const cpg::Member& left : confchg->left) {
            reassembly_.drop(confchg->handle, left.node, left.pid);
        }
        event.what = std::move(*confchg);
    } else if (auto* totem = std::get_if<cpg::TotemConfchg>(&taken.what)) {
        event.what = std::move(*totem);
    }
}

// Every so often only: each acknowledgement wakes the daemon. More rarely while the next event has
// begun to come: whoever takes it acknowledges.
void CpgSession::acknowledge(std::uint64_t event, std::size_t bytes) {
    ++unacknowledged_events_;
    unacknowledged_bytes_ += bytes;
    const std::size_t times = events_->has_more() ? kAckTimesAmidst : 1;
    if (unacknowledged_events_ < times * cpg::kAckEventsMax &&
        unacknowledged_bytes_ < times * cpg::kAckBytesMax) {
        return;
    }
    unacknowledged_events_ = 0;
    unacknowledged_bytes_ = 0;
    events_->send(cpg::encode(cpg::EventAck{.event = event}));
}

}  // namespace client
