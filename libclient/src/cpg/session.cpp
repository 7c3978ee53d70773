#include "libclient/src/cpg/session.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "libclient/src/cpg/answers.hpp"
#include "libclient/src/ipc/lasting_fd.hpp"

namespace client {
namespace {

namespace cpg = protocol::cpg;
using Part = cpg::Mcast::Part;

constexpr const char* kSocketName = "cpg";

// A message in parts may wait so long for credit between two of them. Then it is given up:
// receivers drop a message whose last part never comes.
constexpr std::chrono::seconds kPartsTimeout{30};
constexpr std::chrono::milliseconds kCreditSlice{10};
constexpr std::chrono::milliseconds kReconnectPause{5};
// While a leave or join of the same group is under way cpgd answers BUSY.
constexpr std::chrono::milliseconds kBusyRetry{2};

// The bytes [offset, offset + length) of a message in pieces.
std::vector<iovec> cut(std::span<const iovec> message, std::size_t offset, std::size_t length) {
    std::vector<iovec> part;
    for (const iovec& piece : message) {
        if (length == 0) break;
        if (offset >= piece.iov_len) {
            offset -= piece.iov_len;
            continue;
        }
        const std::size_t size = std::min(piece.iov_len - offset, length);
        part.push_back(
            {.iov_base = static_cast<std::byte*>(piece.iov_base) + offset, .iov_len = size});
        length -= size;
        offset = 0;
    }
    return part;
}

// What we say that we take. Who comes back has given the descriptor away, and is kept at once.
std::uint32_t features(bool is_new) {
    return cpg::kTakesRuns | cpg::kEventsIfAsked | (is_new ? cpg::kKeptIfAsked : 0);
}

Kind polled(std::uint32_t features, bool takes_area) {
    return {.features = features | (takes_area ? cpg::kTakesArea : 0),
            .takes_descriptor = takes_area,
            .is_polled = true};
}

}  // namespace

// ----------------------------------------------------------------------------------- connections

CsResult<CpgSession::Links> CpgSession::connect(const Options& options, const Place& place) {
    const bool is_new = place.session == cpg::SessionId{};
    const cpg::Hello hello{.session = place.session,
                           .pid = static_cast<std::uint32_t>(::getpid()),
                           .last_event = place.last_event,
                           .totem_events = options.totem_events,
                           .initial_totem_event = options.initial_totem_event,
                           .separate_events = true};
    auto control = open_connection(kSocketName, cpg::encode(hello), {.features = features(is_new)});
    if (!control) return base::fail(control.error());
    const auto welcome = welcome_in(control->answer);
    if (!welcome) return base::fail(welcome.error());
    if (place.is_established && !welcome->resumed) return base::fail(CS_ERR_BAD_HANDLE);

    Links links{std::move(control->connection), std::nullopt, *welcome};
    if (!place.has_events) return links;
    const cpg::EventsHere here{.session = welcome->session, .last_event = place.last_event};
    auto events = begin_connection(kSocketName, cpg::encode(here),
                                   polled(features(is_new), place.takes_area));
    if (!events) return base::fail(events.error());
    links.events = *std::move(events);
    return links;
}

CsResult<std::unique_ptr<CpgSession>> CpgSession::open(const Options& options) {
    auto links = connect(options, {});
    if (!links) return base::fail(links.error());
    return std::unique_ptr<CpgSession>(new CpgSession(*std::move(links), options));
}

CpgSession::CpgSession(Links links, const Options& options)
    : options_(options),
      self_(links.welcome.self),
      control_fd_(links.control.fd()),
      features_(links.control.peer_features()),
      id_(links.welcome.session),
      control_(std::move(links.control)),
      window_(links.welcome.window_bytes),
      outbox_(control_fd_) {}

CpgSession::~CpgSession() {
    // So that the helper thread does not wait for a daemon that does not read.
    if (!lost_) (void)lost();
}

// Everybody who waits on one of the descriptors wakes up and finds the session lost.
cs_error_t CpgSession::lost() {
    lost_ = true;
    hang_up(control_fd_);
    if (event_fd_ >= 0) hang_up(event_fd_);
    return CS_ERR_LIBRARY;
}

cs_error_t CpgSession::failed(zmtp::ConnectionError error) {
    return error == zmtp::ConnectionError::Protocol ? lost() : CS_ERR_LIBRARY;
}

bool CpgSession::is_alive() {
    const std::uint32_t connection = connection_;
    if (lost_) return false;
    return !is_hung_up(event_fd_ >= 0 ? event_fd_.load() : control_fd_) || resume(connection);
}

bool CpgSession::resume(std::uint32_t connection) {
    const std::lock_guard resuming(resume_mutex_);
    if (lost_) return false;
    if (connection_ != connection) return true;  // Another thread has done it.
    if (!resumes()) {
        (void)lost();
        return false;
    }
    // Whoever waits on the connection lets go of it, also when only one of the two has ended.
    hang_up(control_fd_);
    if (event_fd_ >= 0) end_reading(event_fd_);
    {
        auto lock = outbox_.lock();
        outbox_.interrupt(lock);
    }
    auto links = reconnect();
    if (!links) {
        (void)lost();
        return false;
    }
    const std::lock_guard reading(control_mutex_);
    const std::lock_guard taking(events_mutex_);
    auto lock = outbox_.lock();
    id_ = links->welcome.session;
    features_ = links->control.peer_features();
    take_place(control_, std::move(links->control));
    if (links->events) {
        end_run();      // The rest of it comes again.
        area_.reset();  // The new daemon makes another one.
        events_->follow(*std::move(links->events));
        tell_resumed_ = true;
        is_kept_ = true;
    }

    const cpg::Welcome& welcome = links->welcome;
    window_.credit(welcome.taken, welcome.window_bytes);
    kept_.release(welcome.taken);
    outbox_.restart(lock);
    kept_.for_each_after(welcome.taken, [&](std::span<const std::byte> message) {
        const auto payload = message.subspan(cpg::kMcastHeaderBytes);
        // Only read from: iovec has no const.
        const iovec piece{.iov_base = const_cast<std::byte*>(payload.data()),
                          .iov_len = payload.size()};
        outbox_.send(lock, message.first(cpg::kMcastHeaderBytes), std::span(&piece, 1),
                     payload.size());
    });
    ++connection_;
    if (lost_) (void)lost();  // It was closed meanwhile: so are the new sockets.
    return !lost_;
}

// Tries until the daemon takes the session back, says that it does not know it, or is late; not
// when the node has stopped, and nobody will start it again.
CsResult<CpgSession::Links> CpgSession::reconnect() {
    const auto deadline = Clock::now() + options_.resume;
    for (;;) {
        Place place{.session = id_, .has_events = event_fd_ >= 0};
        {
            const std::lock_guard reading(control_mutex_);
            const std::lock_guard taking(events_mutex_);
            place.is_established = has_joined_ || last_event_ > 0;
            place.last_event = last_event_;
            place.takes_area = takes_area_;
        }
        auto links = connect(options_, place);
        if (links) return links;
        const bool later = links.error() == CS_ERR_LIBRARY || links.error() == CS_ERR_TRY_AGAIN;
        if (!later || lost_ || Clock::now() >= deadline || !is_served(kSocketName)) {
            return base::fail(links.error());
        }
        std::this_thread::sleep_for(kReconnectPause);
    }
}

cs_error_t CpgSession::open_events() {
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
cs_error_t CpgSession::try_to_open_events() {
    const std::lock_guard resuming(resume_mutex_);
    if (lost_) return CS_ERR_LIBRARY;
    if (event_fd_ >= 0) return CS_OK;  // Another thread was first.
    const cpg::EventsHere here{.session = id_, .last_event = 0};
    auto events = open_connection(kSocketName, cpg::encode(here), polled(features(true), true));
    if (!events) return events.error();
    if (const auto welcome = welcome_in(events->answer); !welcome)
        return welcome.error() == CS_ERR_NOT_EXIST ? CS_ERR_LIBRARY : welcome.error();
    const std::lock_guard taking(events_mutex_);
    events_.emplace(std::move(events->connection));
    event_fd_ = events_->fd();
    if (lost_) hang_up(event_fd_);  // It was closed meanwhile.
    return CS_OK;
}

// ------------------------------------------------------------------------------------- requests

cpg::GroupHandle CpgSession::new_group_handle() {
    return cpg::GroupHandle{next_group_++};
}

cs_error_t CpgSession::join(const std::string& group, cpg::GroupHandle handle) {
    has_asked_ = true;
    return simple_request([&](std::uint32_t number) {
        return cpg::Join{.request = number, .handle = handle, .group = group};
    });
}

cs_error_t CpgSession::leave(cpg::GroupHandle handle) {
    return simple_request(
        [&](std::uint32_t number) { return cpg::Leave{.request = number, .handle = handle}; });
}

CsResult<int> CpgSession::event_fd() {
    if (const cs_error_t opened = open_events(); opened != CS_OK) return base::fail(opened);
    // Without an answer the session is lost, which the descriptor says.
    if (!is_kept_ && knows(cpg::kKeptIfAsked) && !knows(cpg::kEventsIfAsked))
        (void)simple_request([](std::uint32_t number) { return cpg::Keep{.request = number}; });
    return event_fd_.load();
}

CsResult<std::vector<cpg::Member>> CpgSession::membership(const std::string& group) {
    auto reply = request([&](std::uint32_t number) {
        return cpg::MembershipGet{.request = number, .group = group};
    });
    if (!reply) return base::fail(reply.error());
    if (auto* members = std::get_if<cpg::MembershipReply>(&*reply)) {
        return std::move(members->members);
    }
    const auto* refusal = std::get_if<cpg::Reply>(&*reply);
    return base::fail(refusal == nullptr ? lost() : error_of(refusal->error));
}

CsResult<std::vector<cpg::GroupMembers>> CpgSession::groups(
    const std::optional<std::string>& group) {
    auto reply = request([&](std::uint32_t number) {
        return cpg::GroupsGet{
            .request = number, .one_group = group.has_value(), .group = group.value_or("")};
    });
    if (!reply) return base::fail(reply.error());
    if (auto* groups = std::get_if<cpg::GroupsReply>(&*reply)) return std::move(groups->groups);
    const auto* refusal = std::get_if<cpg::Reply>(&*reply);
    return base::fail(refusal == nullptr ? lost() : error_of(refusal->error));
}

cs_error_t CpgSession::simple_request(const RequestOf& frame) {
    for (;;) {
        const auto reply = request(frame);
        if (!reply) return reply.error();
        const auto* answer = std::get_if<cpg::Reply>(&*reply);
        if (answer == nullptr) return lost();
        if (error_of(answer->error) != CS_ERR_BUSY) return error_of(answer->error);
        // It ends by an event of the group's order, for which nobody has to dispatch.
        std::this_thread::sleep_for(kBusyRetry);
    }
}

// Waits as long as the daemon lives. A daemon that came back is asked again under the same number,
// by which it knows whether it has answered.
CsResult<CpgSession::Reply> CpgSession::request(const RequestOf& frame) {
    const std::lock_guard asking(request_mutex_);
    const std::uint32_t number = ++request_;
    for (;;) {
        const std::uint32_t connection = connection_;
        auto reply = ask(frame(number), number);
        if (reply && event_fd_ >= 0) is_kept_ = true;
        if (reply || reply.error() != CS_ERR_LIBRARY || !resume(connection)) return reply;
    }
}

CsResult<CpgSession::Reply> CpgSession::ask(const cpg::ClientFrame& frame, std::uint32_t number) {
    const std::lock_guard reading(control_mutex_);
    {
        auto lock = outbox_.lock();
        if (lost_ || outbox_.is_broken(lock)) return base::fail(CS_ERR_LIBRARY);
        outbox_.send(lock, cpg::encode(frame).bytes(), {}, 0);
    }
    for (;;) {
        auto reply = read_control();
        if (!reply) return base::fail(reply.error());
        if (*reply) {
            const auto number_of = [](const auto& what) { return what.request; };
            // The reply to a request whose thread was cancelled is nobody's.
            if (std::visit(number_of, **reply) != number) continue;
            const auto* said = std::get_if<cpg::Reply>(&**reply);
            const bool is_ok = said != nullptr && error_of(said->error) == CS_OK;
            if (is_ok && std::holds_alternative<cpg::Join>(frame)) has_joined_ = true;
            return **std::move(reply);
        }
        (void)wait_readable(control_fd_, std::nullopt);
    }
}

CsResult<std::optional<CpgSession::Reply>> CpgSession::read_control() {
    for (;;) {
        if (lost_) return base::fail(CS_ERR_LIBRARY);
        auto message = control_.next_message();
        if (!message) return base::fail(failed(message.error()));
        if (!*message) {
            const auto bytes = control_.read_some(zmtp::Limits{}.read_bytes);
            if (!bytes) {
                const auto lock = outbox_.lock();
                outbox_.set_broken(lock);  // A sender that looks there sees it too.
                return base::fail(failed(bytes.error()));
            }
            if (*bytes == 0) return std::nullopt;
            continue;
        }
        auto frame = cpg::decode_cpgd_frame(**message);
        if (!frame) return base::fail(lost());
        if (const auto* credit = std::get_if<cpg::Credit>(&*frame)) {
            const auto lock = outbox_.lock();
            window_.credit(credit->taken, credit->window_bytes);
            kept_.release(credit->taken);
        } else if (auto* reply = std::get_if<cpg::Reply>(&*frame)) {
            return *reply;
        } else if (auto* members = std::get_if<cpg::MembershipReply>(&*frame)) {
            return std::move(*members);
        } else if (auto* groups = std::get_if<cpg::GroupsReply>(&*frame)) {
            return std::move(*groups);
        } else {
            return base::fail(lost());  // Not on this connection.
        }
    }
}

// -------------------------------------------------------------------------------------- sending

cs_error_t CpgSession::mcast(cpg::GroupHandle handle, bool safe, std::span<const iovec> message) {
    std::size_t bytes = 0;
    for (const iovec& piece : message) {
        if (piece.iov_len > kMessageBytesMax - bytes) return CS_ERR_TOO_BIG;
        bytes += piece.iov_len;
    }
    if (lost_) return CS_ERR_LIBRARY;
    has_asked_ = true;
    return bytes <= cpg::kPartBytesMax ? mcast_whole(handle, safe, message, bytes)
                                       : mcast_parts(handle, safe, message, bytes);
}

cs_error_t CpgSession::mcast_whole(cpg::GroupHandle handle, bool safe,
                                   std::span<const iovec> message, std::size_t bytes) {
    const cpg::Mcast header{.handle = handle, .safe = safe, .message_bytes = bytes, .payload = {}};
    cs_error_t sent = send_part(header, message, bytes);
    if (sent != CS_ERR_TRY_AGAIN) return sent;
    read_credit();
    return send_part(header, message, bytes);
}

cs_error_t CpgSession::mcast_parts(cpg::GroupHandle handle, bool safe,
                                   std::span<const iovec> message, std::size_t bytes) {
    const std::unique_lock sending(parts_mutex_, std::try_to_lock);
    if (!sending.owns_lock()) return CS_ERR_TRY_AGAIN;
    for (std::size_t offset = 0; offset < bytes;) {
        const std::size_t size = std::min(bytes - offset, cpg::kPartBytesMax);
        const bool last = offset + size == bytes;
        const cpg::Mcast header{.handle = handle,
                                .safe = safe,
                                .part = last          ? Part::Last
                                        : offset == 0 ? Part::First
                                                      : Part::Middle,
                                .message_bytes = bytes,
                                .payload = {}};
        const auto part = cut(message, offset, size);
        const auto deadline = Clock::now() + kPartsTimeout;
        for (;;) {
            read_credit();
            const cs_error_t sent = send_part(header, part, size);
            if (sent == CS_OK) break;
            const bool over = offset == 0 || Clock::now() >= deadline;
            if (sent != CS_ERR_TRY_AGAIN || over) return sent;
            wait_for_credit(deadline);
        }
        offset += size;
    }
    return CS_OK;
}

// CS_ERR_TRY_AGAIN: there is no credit for it.
cs_error_t CpgSession::send_part(const cpg::Mcast& header, std::span<const iovec> payload,
                                 std::size_t bytes) {
    const std::uint64_t cost = bytes + cpg::kMcastCostBytes;
    for (;;) {
        const std::uint32_t connection = connection_;
        bool taken = false;
        {
            auto lock = outbox_.lock();
            if (lost_) return CS_ERR_LIBRARY;
            if (!outbox_.is_broken(lock)) {
                if (!window_.admits(cost)) return CS_ERR_TRY_AGAIN;
                cpg::Mcast numbered = header;
                numbered.number = window_.send(cost);
                std::array<std::byte, cpg::kMcastHeaderBytes> head;
                cpg::encode_mcast_header(numbered, bytes, head);
                if (resumes()) kept_.add(numbered.number, head, payload, bytes);
                send_now(lock, numbered, head, payload, bytes);
                if (!outbox_.is_broken(lock)) return CS_OK;
                taken = true;  // And goes out again with all that is kept.
            }
        }
        if (closing_ || !resume(connection)) return CS_ERR_LIBRARY;
        if (taken) return CS_OK;
    }
}

// What can't be written at once shares a frame with its neighbours.
void CpgSession::send_now(Outbox::Lock& lock, const cpg::Mcast& mcast,
                          std::span<const std::byte> head, std::span<const iovec> payload,
                          std::size_t bytes) {
    const bool fits_a_run = mcast.part == Part::Whole && bytes <= cpg::kRunPayloadMax;
    if (!knows(cpg::kTakesRuns) || !fits_a_run) return outbox_.send(lock, head, payload, bytes);
    std::array<std::byte, cpg::kMcastRunHeaderBytes> run_head;
    cpg::encode_run_header(mcast.number, mcast.handle, mcast.safe, run_head);
    const std::uint64_t key = std::uint64_t{mcast.handle.value()} << 1u | (mcast.safe ? 1u : 0u);
    outbox_.send(lock, head, payload, bytes, Outbox::Run{.key = key, .head = run_head});
}

// Another thread that reads takes the credit for us.
void CpgSession::read_credit() {
    const std::unique_lock reading(control_mutex_, std::try_to_lock);
    // A reply here is late: nobody waits for it any more. An error is seen by who asks next.
    while (reading.owns_lock()) {
        const auto reply = read_control();
        if (!reply || !*reply) return;
    }
}

// For a slice of the time, so that a thread with a request gets its turn.
void CpgSession::wait_for_credit(Clock::time_point deadline) {
    const std::lock_guard reading(control_mutex_);
    (void)wait_readable(control_fd_, std::min(deadline, Clock::now() + kCreditSlice));
}

// No request is under way, nothing is in the order, and the daemon is there: it sees the end of the
// connection.
bool CpgSession::ends_by_itself() {
    const std::lock_guard asking(request_mutex_);
    return !has_asked_ && knows(cpg::kEventsIfAsked) && !lost_ && !is_hung_up(control_fd_);
}

cs_error_t CpgSession::close() {
    closing_ = true;
    if (ends_by_itself()) {
        (void)lost();
        return CS_OK;
    }
    const cs_error_t told =
        simple_request([](std::uint32_t number) { return cpg::Goodbye{.request = number}; });
    (void)lost();
    return told;
}

}  // namespace client
