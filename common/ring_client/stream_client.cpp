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

// Above what may be outstanding and is said again at once: the window, what is urgent, and an item
// of any size of both.
constexpr std::size_t kQueueBytesMax = std::size_t{64} << 20u;

constexpr int kSendBufferBytes = 1 << 20;

// Of ringd's area: said at once, else with whatever is to be written next.
constexpr std::size_t kGivenBackBytesMin = std::size_t{512} << 10u;

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
    : loop_(loop),
      path_(std::move(options.path)),
      callbacks_(std::move(callbacks)),
      takes_items_(options.takes_items),
      attachment_(options.resume ? Attachment(options.channel, *options.resume)
                                 : Attachment(options.channel, fresh_incarnation())) {}

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
    auto socket = zmtp::connect_to(path_);
    if (!socket) return disconnect(socket.error().text());
    if (const auto known = zmtp::check_listener(socket->get()); !known)
        return disconnect(known.error().text());
    connection_ = std::make_unique<zmtp::Connection>(
        std::move(*socket), zmtp::Side::Connecting,
        zmtp::Limits{.queue_bytes_max = kQueueBytesMax,
                     .features = takes_items_ ? protocol::kTakesItems : 0,
                     .send_buffer_bytes = kSendBufferBytes,
                     .sends_early = true,
                     .takes_descriptor = takes_items_});
    auto added =
        loop_.add(connection_->fd(), EPOLLIN, [this](std::uint32_t events) { read(events); });
    if (!added) {
        connection_.reset();
        return disconnect(added.error().text());
    }
    write(attachment_.hello());
    flush();
}

void StreamClient::disconnect(const std::string& reason) {
    const bool was_attached = attachment_.is_attached();
    attachment_.lost();
    if (connection_) {
        loop_.remove(connection_->fd());
        connection_.reset();
    }
    lent_.reset();
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
    if (const auto credit = attachment_.give_credit()) write(*credit);
    give_back();
    if (!connection_->wants_write()) return;
    if (!connection_->flush()) return disconnect("ringd closed the connection");
    // The descriptor is watched, so only memory can be missing; the next turn tries again.
    (void)loop_.change(connection_->fd(),
                       connection_->wants_write() ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void StreamClient::give_back() {
    if (!lent_) return;
    const bool is_due =
        lent_->given_back_bytes() >= kGivenBackBytesMin || connection_->wants_write();
    if (!is_due) return;
    for (;;) {
        const protocol::GivenBack given{.events = lent_->take_given_back(protocol::kGivenBackMax)};
        if (given.events.empty()) return;
        write(protocol::encode(protocol::ServiceFrame{given}));
    }
}

// ---------------------------------------------------------------- what ringd says

void StreamClient::on(const protocol::Attached& attached) {
    retry_after_ = {};
    std::vector<ServiceMessage> again;
    attachment_.attached(attached, again);
    for (const ServiceMessage& message : again) {
        write(message.head, message.payload);
    }
    callbacks_.attached(attached, incarnation());
    if (callbacks_.room && room() > 0) callbacks_.room();
}

void StreamClient::on(const protocol::Refused& refused) {
    attachment_.refused(refused, fresh_incarnation());
    disconnect(refused.reason);
}

void StreamClient::on(const protocol::Taken& taken) {
    attachment_.taken(taken);
    if (callbacks_.room && room() > 0) callbacks_.room();
}

void StreamClient::on(protocol::Event event) {
    attachment_.received(event);
    callbacks_.event(std::move(event));
}

void StreamClient::on(protocol::BatchInArea in_area) {
    if (!lent_) {
        auto memory = os::ForeignMemory::map(connection_->take_descriptor());
        if (!memory) {
            // We have no descriptor or memory left for it. Again, in frames.
            takes_items_ = false;
            return disconnect("cannot map ringd's memory");
        }
        lent_.emplace(*std::move(memory));
    }
    auto payload = lent_->payload_of(in_area);
    if (!payload) return disconnect("ringd sent a place that is none");
    in_area.batch.payload = *std::move(payload);
    on(protocol::Event{.cursor = in_area.cursor, .what = std::move(in_area.batch)});
}

// ---------------------------------------------------------------- what the service says

std::uint64_t StreamClient::submit(base::Buffer payload, bool safe, bool urgent) {
    const ServiceMessage message = attachment_.submit(std::move(payload), safe, urgent);
    write(message.head, message.payload);
    return attachment_.submitted();
}

void StreamClient::acknowledge(protocol::Cursor applied) {
    if (const auto frame = attachment_.acknowledge(applied)) write(*frame);
}

}  // namespace ring
