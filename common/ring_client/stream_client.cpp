#include "common/ring_client/stream_client.hpp"

#include <sys/epoll.h>
#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "common/base/invariant.hpp"
#include "common/os/clock.hpp"
#include "common/zmtp/listener.hpp"

namespace ring {
namespace {

// ringd is back within milliseconds after a restart; later it is worth less to look.
constexpr base::Duration kRetryFirst = std::chrono::milliseconds(5);
constexpr base::Duration kRetryMax = std::chrono::milliseconds(500);

// Reads in one turn, so that the clients get theirs while the stream is at full speed.
constexpr int kReadsATurn = 4;

protocol::Incarnation fresh_incarnation() {
    std::uint64_t number = 0;
    while (number == 0) {
        // 8 bytes of the kernel's generator come whole or, before it is seeded, later.
        const ssize_t got = ::getrandom(&number, sizeof(number), 0);
        if (got != static_cast<ssize_t>(sizeof(number))) number = 0;
    }
    return protocol::Incarnation{number};
}

}  // namespace

StreamClient::StreamClient(os::EventLoop& loop, Options options, Callbacks callbacks)
    : loop_(loop), options_(std::move(options)), callbacks_(std::move(callbacks)) {
    if (options_.resume) {
        incarnation_ = options_.resume->incarnation;
        received_ = options_.resume->applied;
        acknowledged_ = received_;
        submitted_is_known_ = false;
    } else {
        start_afresh();
    }
}

StreamClient::~StreamClient() {
    if (connection_) loop_.remove(connection_->fd());
}

void StreamClient::start() {
    loop_.set_deadline([this] { return connect_at_; }, [this] { connect(); });
    loop_.at_turn_end([this] { flush(); });
    connect();
}

// ---------------------------------------------------------------- connection

void StreamClient::connect() {
    connect_at_.reset();
    auto socket = zmtp::connect_to(options_.path);
    if (!socket) return disconnect(socket.error().text());
    connection_ = std::make_unique<zmtp::Connection>(std::move(*socket), zmtp::Side::Connecting,
                                                     zmtp::Limits{});
    auto added =
        loop_.add(connection_->fd(), EPOLLIN, [this](std::uint32_t events) { read(events); });
    if (!added) {
        connection_.reset();
        return disconnect(added.error().text());
    }
    write(protocol::encode(protocol::ServiceFrame{protocol::Attach{
        .role = protocol::Attach::Role::Service,
        .channel = options_.channel,
        .incarnation = incarnation_,
        .applied = received_,
        .submitted = submitted_is_known_ ? submitted_ : protocol::kSubmittedUnknown}}));
    flush();
}

void StreamClient::disconnect(const std::string& reason) {
    const bool was_attached = std::exchange(is_attached_, false);
    if (connection_) {
        loop_.remove(connection_->fd());
        connection_.reset();
    }
    retry_after_ =
        was_attached ? kRetryFirst : std::clamp(retry_after_ * 2, kRetryFirst, kRetryMax);
    connect_at_ = os::now() + retry_after_;
    ++reconnects_;
    if (callbacks_.lost) callbacks_.lost(reason);
}

void StreamClient::read(std::uint32_t) {
    const zmtp::Connection* const reading = connection_.get();
    for (int reads = 0; reads < kReadsATurn; ++reads) {
        const auto count = connection_->read_some(zmtp::Limits{}.read_bytes);
        if (!count) return disconnect("ringd closed the connection");
        for (;;) {
            auto message = connection_->next_message();
            if (!message) return disconnect(connection_->reason());
            if (!*message) break;
            auto frame = protocol::decode_ring_frame(**message);
            if (!frame) return disconnect("ringd sent a frame that is none");
            std::visit([this](auto& what) { on(std::move(what)); }, *frame);
            if (connection_.get() != reading) return;  // Refused.
        }
        if (*count < zmtp::Limits{}.read_bytes) return;
    }
}

void StreamClient::write(const base::Buffer& head, const base::Buffer& body) {
    if (!connection_) return;
    // The window bounds what is queued here, far below the connection's own limit.
    const bool queued = connection_->send(head, body);
    INVARIANT(queued);
}

void StreamClient::flush() {
    if (!connection_) return;
    if (!connection_->wants_write()) return;
    if (!connection_->flush()) return disconnect("ringd closed the connection");
    // The descriptor is watched, so only memory can be missing; the next turn tries again.
    (void)loop_.change(connection_->fd(),
                       connection_->wants_write() ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

// ---------------------------------------------------------------- what ringd says

void StreamClient::on(const protocol::Attached& attached) {
    is_attached_ = true;
    retry_after_ = {};
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
        write(waiting.head, waiting.payload);
    }
    callbacks_.attached(attached, incarnation_);
    if (callbacks_.room && room() > 0) callbacks_.room();
}

void StreamClient::on(const protocol::Refused& refused) {
    if (refused.afresh) start_afresh();
    disconnect(refused.reason);
}

void StreamClient::on(const protocol::Taken& taken) {
    window_bytes_ = taken.window_bytes;
    settle(taken.number);
    if (callbacks_.room && room() > 0) callbacks_.room();
}

void StreamClient::on(protocol::Event event) {
    INVARIANT(event.cursor.value() == received_.value() + 1);
    received_ = event.cursor;
    callbacks_.event(std::move(event));
}

void StreamClient::start_afresh() {
    incarnation_ = fresh_incarnation();
    received_ = {};
    acknowledged_ = {};
    submitted_is_known_ = true;
    submitted_ = 0;
    last_ordinary_ = 0;
    last_urgent_ = 0;
    outstanding_bytes_ = 0;
    waiting_.clear();
}

void StreamClient::settle(std::uint64_t taken) {
    while (!waiting_.empty() && waiting_.front().number <= taken) {
        outstanding_bytes_ -= waiting_.front().payload_bytes;
        waiting_.pop_front();
    }
}

// ---------------------------------------------------------------- what the service says

std::size_t StreamClient::room() const {
    if (!is_attached_ || outstanding_bytes_ >= window_bytes_) return 0;
    return window_bytes_ - outstanding_bytes_;
}

bool StreamClient::fits(std::size_t payload_bytes) const {
    if (room() == 0) return false;
    return outstanding_bytes_ == 0 || payload_bytes <= room();
}

std::uint64_t StreamClient::submit(base::Buffer payload, bool safe, bool urgent) {
    INVARIANT(fits(payload.size()));
    std::uint64_t& after = urgent ? last_urgent_ : last_ordinary_;
    const protocol::Submit submit{.number = ++submitted_,
                                  .after = after,
                                  .safe = safe,
                                  .urgent = urgent,
                                  .incarnation = incarnation_,
                                  .channel = options_.channel,
                                  .payload = std::move(payload)};
    after = submit.number;
    outstanding_bytes_ += submit.payload.size();
    waiting_.push_back({.number = submit.number,
                        .payload_bytes = submit.payload.size(),
                        .head = protocol::encode_header(protocol::ServiceFrame{submit}),
                        .payload = submit.payload});
    write(waiting_.back().head, waiting_.back().payload);
    return submit.number;
}

void StreamClient::acknowledge(protocol::Cursor applied) {
    INVARIANT(applied <= received_);
    if (applied <= acknowledged_ || !is_attached_) return;
    acknowledged_ = applied;
    write(protocol::encode(protocol::ServiceFrame{protocol::Ack{.applied = applied}}));
}

}  // namespace ring
