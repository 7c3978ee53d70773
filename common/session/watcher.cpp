#include "common/session/watcher.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <utility>

#include "common/os/clock.hpp"
#include "common/zmtp/listener.hpp"

namespace session {
namespace {

namespace api = protocol::session;

constexpr std::uint32_t kOk = 1;
// A daemon that comes back is found soon, and one that does not exist costs little.
constexpr base::Duration kRetry = std::chrono::milliseconds{100};
constexpr std::size_t kReadBytes = std::size_t{16} << 10u;

}  // namespace

Watcher::Watcher(os::EventLoop& loop, Options options, Callbacks callbacks)
    : loop_(loop), options_(std::move(options)), callbacks_(std::move(callbacks)) {
    loop_.set_deadline([this] { return connect_at_; },
                       [this] {
                           connect_at_.reset();
                           connect();
                       });
    connect_at_ = os::now();
}

Watcher::~Watcher() {
    close(control_);
    close(events_);
}

void Watcher::connect() {
    const api::Hello hello{
        .service = options_.service, .session = {}, .pid = static_cast<std::uint32_t>(::getpid())};
    if (!open(control_, hello)) disconnect();
}

void Watcher::disconnect() {
    close(control_);
    close(events_);
    connect_at_ = os::now() + kRetry;
    if (std::exchange(is_subscribed_, false)) callbacks_.lost();
}

bool Watcher::open(Link& link, const api::ClientFrame& first) {
    auto socket = zmtp::connect_to(options_.path);
    if (!socket) return false;
    zmtp::Limits limits;
    limits.read_bytes = kReadBytes;
    limits.sends_early = true;
    link = std::make_unique<zmtp::Connection>(*std::move(socket), zmtp::Side::Connecting, limits);
    const bool is_watched = loop_
                                .add(link->fd(), EPOLLIN,
                                     [this, &link](std::uint32_t events) {
                                         if (link == nullptr) return;
                                         if ((events & ~std::uint32_t{EPOLLOUT}) != 0) read(link);
                                         if (link != nullptr) write(link);
                                     })
                                .has_value();
    if (!is_watched || !link->send(api::encode(first))) return false;
    write(link);
    return link != nullptr;
}

void Watcher::close(Link& link) {
    if (link == nullptr) return;
    loop_.remove(link->fd());
    link.reset();
}

void Watcher::write(Link& link) {
    if (!link->flush()) return disconnect();
    const std::uint32_t events = link->wants_write() ? EPOLLIN | EPOLLOUT : EPOLLIN;
    // The descriptor is watched, so only memory can be missing; then the next read tries again.
    (void)loop_.change(link->fd(), events);
}

void Watcher::read(Link& link) {
    if (!link->read_some(kReadBytes)) return disconnect();
    for (;;) {
        const auto message = link->next_message();
        if (!message) return disconnect();
        if (!*message) return;
        const auto frame = api::decode_daemon_frame(**message);
        if (!frame || !on_frame(link, *frame)) return disconnect();
        if (link == nullptr) return;  // A callback had no use for us any more.
    }
}

bool Watcher::on_frame(const Link& link, const api::DaemonFrame& frame) {
    if (const auto* welcome = std::get_if<api::Welcome>(&frame)) {
        if (&link == &control_) return open(events_, api::EventsHere{.session = welcome->session});
        const bool is_sent = control_->send(api::encode(
            api::ClientFrame{api::Request{.number = 1, .payload = options_.subscription}}));
        if (is_sent) write(control_);
        return is_sent && control_ != nullptr;
    }
    if (const auto* reply = std::get_if<api::Reply>(&frame)) {
        if (reply->error != kOk) return false;
        is_subscribed_ = true;
        callbacks_.subscribed(reply->payload);
        return true;
    }
    if (const auto* event = std::get_if<api::Event>(&frame)) {
        callbacks_.event(event->payload);
        return true;
    }
    return false;  // Refused.
}

}  // namespace session
