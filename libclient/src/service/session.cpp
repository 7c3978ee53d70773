#include "libclient/src/service/session.hpp"

#include <poll.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "libclient/src/base/cancellation.hpp"
#include "libclient/src/ipc/lasting_fd.hpp"

namespace client {
namespace {

namespace api = protocol::session;

constexpr std::chrono::milliseconds kReconnectPause{5};

// The cs_error_t of a frame, which a peer could have made anything.
cs_error_t error_of(std::uint32_t number) {
    const bool known = number >= CS_OK && number <= CS_ERR_SECURITY;
    return known ? static_cast<cs_error_t>(number) : CS_ERR_LIBRARY;
}

CsResult<api::Welcome> welcome_in(const base::Buffer& answer) {
    const auto frame = api::decode_daemon_frame(answer);
    if (!frame) return base::fail(CS_ERR_LIBRARY);
    if (const auto* refused = std::get_if<api::Refused>(&*frame)) {
        const cs_error_t error = error_of(refused->error);
        return base::fail(error == CS_OK ? CS_ERR_LIBRARY : error);
    }
    if (const auto* welcome = std::get_if<api::Welcome>(&*frame)) return *welcome;
    return base::fail(CS_ERR_LIBRARY);
}

// Waits until `fd` takes bytes, or its peer is gone. A cancellation point.
void wait_writable(int fd) {
    pollfd watched{.fd = fd, .events = POLLOUT, .revents = 0};
    const CancellationShield::Opening opening;
    // A failure or a signal shows at the next write.
    (void)::poll(&watched, 1, -1);
}

// What we say that we take. Who comes back has given the descriptor away, and is kept at once.
std::uint32_t features(bool is_new) {
    return api::kEventsIfAsked | (is_new ? api::kKeptIfAsked : 0);
}

}  // namespace

// ----------------------------------------------------------------------------------- connections

CsResult<ServiceSession::Links> ServiceSession::connect(const Options& options,
                                                        const Place& place) {
    const bool is_new = place.session == api::SessionId{};
    const api::Hello hello{.service = options.service,
                           .session = place.session,
                           .pid = static_cast<std::uint32_t>(::getpid())};
    auto control = open_connection(options.socket, api::encode(api::ClientFrame{hello}),
                                   {.features = features(is_new)});
    if (!control) return base::fail(control.error());
    const auto welcome = welcome_in(control->answer);
    if (!welcome) return base::fail(welcome.error());

    Links links{std::move(control->connection), std::nullopt, *welcome};
    if (!place.has_events) return links;
    const api::EventsHere here{.session = welcome->session};
    auto events = begin_connection(options.socket, api::encode(api::ClientFrame{here}),
                                   {.features = features(is_new), .is_polled = true});
    if (!events) return base::fail(events.error());
    links.events = *std::move(events);
    return links;
}

CsResult<std::unique_ptr<ServiceSession>> ServiceSession::open(Options options) {
    auto links = connect(options, {});
    if (!links) return base::fail(links.error());
    return std::unique_ptr<ServiceSession>(
        new ServiceSession(*std::move(links), std::move(options)));
}

ServiceSession::ServiceSession(Links links, Options options)
    : options_(std::move(options)),
      id_(links.welcome.session),
      self_(links.welcome.self),
      control_fd_(links.control.fd()),
      features_(links.control.peer_features()),
      control_(std::move(links.control)) {}

ServiceSession::~ServiceSession() = default;

// Everybody who waits on one of the descriptors wakes up and finds the session lost.
cs_error_t ServiceSession::lost() {
    lost_ = true;
    hang_up(control_fd_);
    if (event_fd_ >= 0) hang_up(event_fd_);
    return CS_ERR_LIBRARY;
}

cs_error_t ServiceSession::failed(zmtp::ConnectionError error) {
    return error == zmtp::ConnectionError::Protocol ? lost() : CS_ERR_LIBRARY;
}

bool ServiceSession::is_alive() {
    const std::uint32_t connection = connection_;
    if (lost_) return false;
    return !is_hung_up(event_fd_ >= 0 ? event_fd_.load() : control_fd_) ||
           (!closing_ && resume(connection));
}

bool ServiceSession::resume(std::uint32_t connection) {
    const std::lock_guard resuming(resume_mutex_);
    if (lost_) return false;
    if (connection_ != connection) return true;  // Another thread has done it.
    if (options_.resume == std::chrono::milliseconds::zero()) {
        (void)lost();
        return false;
    }
    // Whoever waits on the connection lets go of it, also when only one of the two has ended.
    hang_up(control_fd_);
    if (event_fd_ >= 0) end_reading(event_fd_);
    // A daemon may come back and go again while it is being told: each try is a whole one.
    const auto deadline = Clock::now() + options_.resume;
    do {
        auto links = reconnect();
        if (!links) break;
        const std::lock_guard reading(control_mutex_);
        const std::lock_guard taking(events_mutex_);
        features_ = links->control.peer_features();
        take_place(control_, std::move(links->control));
        if (links->events) events_->follow(*std::move(links->events));
        unanswered_.reset();
        if (lost_) (void)lost();  // It was closed meanwhile: so are the new sockets.
        const cs_error_t told = subscribe_again();
        if (told == CS_OK) {
            tell_resumed_ = is_kept_ = events_.has_value();
            ++connection_;
            return !lost_;
        }
        if (told != CS_ERR_LIBRARY) break;
    } while (!lost_ && Clock::now() < deadline);
    (void)lost();
    return false;
}

// Tries until the daemon takes the session back, says that it won't, or is late; not when the node
// has stopped, and nobody will start it again.
CsResult<ServiceSession::Links> ServiceSession::reconnect() {
    const auto deadline = Clock::now() + options_.resume;
    for (;;) {
        auto links = connect(options_, {.session = id_, .has_events = event_fd_ >= 0});
        if (links) return links;
        const bool later = links.error() == CS_ERR_LIBRARY || links.error() == CS_ERR_TRY_AGAIN;
        const bool over = lost_ || Clock::now() >= deadline;
        if (!later || over || !is_served(options_.socket)) {
            return base::fail(links.error());
        }
        std::this_thread::sleep_for(kReconnectPause);
    }
}

cs_error_t ServiceSession::open_events() {
    while (event_fd_ < 0) {
        const std::uint32_t connection = connection_;
        const cs_error_t opened = try_to_open_events();
        if (opened == CS_ERR_TRY_AGAIN && !closing_) {
            std::this_thread::sleep_for(kReconnectPause);
        } else if (opened == CS_ERR_LIBRARY && !closing_) {
            if (!resume(connection)) return opened;
        } else if (opened != CS_OK) {
            return opened;
        }
    }
    return CS_OK;
}

// CS_ERR_LIBRARY: the daemon that knew the session is gone, or the session is lost.
cs_error_t ServiceSession::try_to_open_events() {
    const std::lock_guard resuming(resume_mutex_);
    if (lost_) return CS_ERR_LIBRARY;
    if (event_fd_ >= 0) return CS_OK;  // Another thread was first.
    const api::EventsHere here{.session = id_};
    auto events = open_connection(options_.socket, api::encode(api::ClientFrame{here}),
                                  {.features = features(true), .is_polled = true});
    if (!events) return events.error();
    if (const auto welcome = welcome_in(events->answer); !welcome)
        return welcome.error() == CS_ERR_BAD_HANDLE ? CS_ERR_LIBRARY : welcome.error();
    const std::lock_guard taking(events_mutex_);
    events_.emplace(std::move(events->connection));
    event_fd_ = events_->fd();
    if (lost_) hang_up(event_fd_);  // It was closed meanwhile.
    return CS_OK;
}

cs_error_t ServiceSession::subscribe_again() {
    if (!options_.subscriptions) return CS_OK;
    for (const base::Buffer& payload : options_.subscriptions()) {
        const auto reply = exchange_once(api::Request{.number = 0, .payload = payload}, 0);
        if (!reply) return reply.error();
        // A daemon that can't go on with what we had: the program must not believe that it does.
        if (reply->error != CS_OK) {
            return reply->error == CS_ERR_LIBRARY ? CS_ERR_BAD_HANDLE : reply->error;
        }
    }
    return CS_OK;
}

// ------------------------------------------------------------------------------------- requests

CsResult<int> ServiceSession::event_fd() {
    if (const cs_error_t opened = open_events(); opened != CS_OK) return base::fail(opened);
    if (!is_kept_ && knows(api::kKeptIfAsked) && !knows(api::kEventsIfAsked)) {
        const std::lock_guard asking(request_mutex_);
        const std::uint64_t number = ++request_;
        // Without an answer the session is lost, which the descriptor says.
        (void)exchange(api::Keep{.number = number}, number);
    }
    return event_fd_.load();
}

CsResult<ServiceSession::Reply> ServiceSession::ask(const base::Buffer& request) {
    if (request.size() > api::kPayloadBytesMax) return base::fail(CS_ERR_TOO_BIG);
    const std::lock_guard asking(request_mutex_);
    const std::uint64_t number = ++request_;
    return exchange(api::Request{.number = number, .payload = request}, number);
}

CsResult<base::Buffer> ServiceSession::call(const base::Buffer& request) {
    auto reply = ask(request);
    if (!reply) return base::fail(reply.error());
    if (reply->error != CS_OK) return base::fail(reply->error);
    return std::move(reply->payload);
}

CsResult<ServiceSession::Reply> ServiceSession::exchange(const api::ClientFrame& frame,
                                                         std::uint64_t number) {
    for (;;) {
        const std::uint32_t connection = connection_;
        auto reply = [&] {
            const std::lock_guard reading(control_mutex_);
            return exchange_once(frame, number);
        }();
        if (reply && event_fd_ >= 0) is_kept_ = true;
        if (reply || reply.error() != CS_ERR_LIBRARY || !resume(connection)) return reply;
    }
}

CsResult<ServiceSession::Reply> ServiceSession::exchange_once(const api::ClientFrame& frame,
                                                              std::uint64_t number) {
    if (lost_) return base::fail(CS_ERR_LIBRARY);
    if (unanswered_) {
        // Of a cancelled thread. The daemon takes one request at a time.
        if (const auto late = wait_reply(*unanswered_); !late) return base::fail(late.error());
    }
    unanswered_ = number;
    if (const cs_error_t sent = send(api::encode(frame)); sent != CS_OK) return base::fail(sent);
    return wait_reply(number);
}

CsResult<ServiceSession::Reply> ServiceSession::wait_reply(std::uint64_t number) {
    for (;;) {
        if (lost_) return base::fail(CS_ERR_LIBRARY);
        auto message = control_.next_message();
        if (!message) return base::fail(failed(message.error()));
        if (*message) {
            const auto frame = api::decode_daemon_frame(**message);
            const auto* reply = frame ? std::get_if<api::Reply>(&*frame) : nullptr;
            if (reply == nullptr || reply->number != number) return base::fail(lost());
            unanswered_.reset();
            return Reply{.error = error_of(reply->error),
                         .payload = base::Buffer::copy_of(reply->payload.bytes())};
        }
        const auto bytes = control_.read_some(zmtp::Limits{}.read_bytes);
        if (!bytes) return base::fail(failed(bytes.error()));
        if (*bytes == 0) (void)wait_readable(control_fd_, std::nullopt);
    }
}

cs_error_t ServiceSession::send(const base::Buffer& frame) {
    if (!control_.send(frame)) return lost();  // The queue was empty: it takes any frame.
    for (;;) {
        if (const auto flushed = control_.flush(); !flushed) return failed(flushed.error());
        if (!control_.wants_write()) return CS_OK;
        wait_writable(control_fd_);
    }
}

// --------------------------------------------------------------------------------------- events

cs_error_t ServiceSession::next_event(Event& event, Wait wait) {
    for (;;) {
        const cs_error_t taken = take_event(event);
        if (taken != CS_ERR_TRY_AGAIN || wait == Wait::Never) return taken;
        (void)wait_readable(event_fd_, std::nullopt);
    }
}

cs_error_t ServiceSession::take_event(Event& event) {
    if (const cs_error_t opened = open_events(); opened != CS_OK) return opened;
    for (;;) {
        const std::uint32_t connection = connection_;
        const cs_error_t taken = read_event(event);
        if (taken != CS_ERR_LIBRARY || closing_ || !resume(connection)) return taken;
    }
}

cs_error_t ServiceSession::read_event(Event& event) {
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
        event = Resumed{};
        return CS_OK;
    }
    const auto message = events_->next();
    if (!message) return failed(message.error());
    if (!*message) return CS_ERR_TRY_AGAIN;
    const auto frame = api::decode_daemon_frame(**message);
    const auto* taken = frame ? std::get_if<api::Event>(&*frame) : nullptr;
    if (taken == nullptr) return lost();
    event = base::Buffer::copy_of(taken->payload.bytes());
    return CS_OK;
}

cs_error_t ServiceSession::close() {
    closing_ = true;
    const std::lock_guard asking(request_mutex_);
    // The daemon, if it is there, sees the end of the connection.
    if (request_ == 0 && knows(api::kEventsIfAsked)) {
        (void)lost();
        return CS_OK;
    }
    const std::uint64_t number = ++request_;
    const auto reply = exchange(api::Goodbye{.number = number}, number);
    (void)lost();
    return reply ? reply->error : reply.error();
}

}  // namespace client
