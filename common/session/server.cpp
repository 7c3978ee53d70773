#include "common/session/server.hpp"

#include <algorithm>

#include "common/os/notify.hpp"

namespace session {
namespace {

namespace api = protocol::session;

// Values of cs_error_t (corotypes.h).
constexpr std::uint32_t kOk = 1;
constexpr std::uint32_t kTryAgain = 6;
constexpr std::uint32_t kInvalidParam = 7;
constexpr std::uint32_t kBadHandle = 9;
constexpr std::uint32_t kAccess = 11;

constexpr std::size_t kEnvelopeBytesMax = 64;

// Small reads: most frames are, there may be many clients, and a long frame has memory of its own.
zmtp::Limits limits() {
    return {.message_bytes_max = api::kPayloadBytesMax + kEnvelopeBytesMax,
            .queue_bytes_max = Server::kEventBytesMax,
            .read_bytes = std::size_t{16} << 10u,
            .features = api::kKeptIfAsked | api::kEventsIfAsked};
}

}  // namespace

Server::Server(os::EventLoop& loop, Access access, Callbacks callbacks)
    : loop_(loop), access_(std::move(access)), callbacks_(std::move(callbacks)), former_(loop) {}

Server::~Server() = default;

os::Result<void> Server::listen(zmtp::Listener listener, Service service) {
    const std::size_t index = listening_.size();
    auto server = zmtp::Server::create(
        loop_, std::move(listener), limits(),
        {.connected =
             [this, index](auto id, const auto& peer) {
                 return on_connected({index, id}, peer);
             },
         .message =
             [this, index](auto id, const base::Buffer& frame) {
                 on_message({index, id}, frame);
             },
         .closed =
             [this, index](auto id, const std::string&) {
                 on_closed({index, id});
             },
         .process_ended =
             [this, index](auto id) {
                 close_connection({index, id});
                 on_closed({index, id});
             },
         .keep = [](std::span<const int> fds) { os::keep_connections(kKeptConnection, fds); }});
    if (!server) return base::fail(server.error());
    listening_.push_back({.service = service, .server = std::move(*server)});
    return {};
}

void Server::serve(base::NodeId self) {
    self_ = self;
    former_.tell();
}

// ---------------------------------------------------------------- connections

bool Server::on_connected(ConnectionId id, const zmtp::PeerCredentials& peer) {
    const bool is_allowed = access_.allows(peer) || rules_.allows(peer);
    if (!is_allowed && callbacks_.not_allowed) callbacks_.not_allowed(peer);
    peers_.emplace(id, Peer{.credentials = peer, .is_allowed = is_allowed});
    return true;
}

void Server::on_message(ConnectionId id, const base::Buffer& bytes) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return;  // Closed in this turn.
    Peer& peer = found->second;
    if (!peer.is_allowed) return refuse(id, kAccess, "neither root nor allowed by uidgid {}");

    auto frame = api::decode_client_frame(bytes);
    if (!frame) return broke(id);
    keep_if_asked(id, *frame);
    if (auto* hello = std::get_if<api::Hello>(&*frame)) {
        on_hello(id, peer, *hello);
    } else if (auto* here = std::get_if<api::EventsHere>(&*frame)) {
        on_events_here(id, peer, *here);
    } else if (auto* request = std::get_if<api::Request>(&*frame)) {
        on_request(id, peer, std::move(*request));
    } else if (auto* goodbye = std::get_if<api::Goodbye>(&*frame)) {
        on_goodbye(id, peer, *goodbye);
    } else if (auto* keep = std::get_if<api::Keep>(&*frame)) {
        on_keep(id, peer, *keep);
    }
}

// Not before: most sessions that ask for nothing end at once.
void Server::keep_if_asked(ConnectionId id, const api::ClientFrame& frame) {
    zmtp::Server& server = *listening_[id.first].server;
    const std::uint32_t features = server.peer_features(id.second);
    const bool asks =
        std::holds_alternative<api::Request>(frame) || std::holds_alternative<api::Keep>(frame) ||
        (std::holds_alternative<api::EventsHere>(frame) && (features & api::kEventsIfAsked) != 0);
    if (asks || (features & api::kKeptIfAsked) == 0) server.keep(id.second);
}

void Server::on_hello(ConnectionId id, Peer& peer, const api::Hello& hello) {
    if (peer.session != SessionId{}) return broke(id);
    if (hello.service != listening_[id.first].service) {
        return refuse(id, kInvalidParam, "this socket serves another service");
    }
    if (!self_) return refuse(id, kTryAgain, "not ready yet");
    if (std::ranges::find(overflowed_, hello.session) != overflowed_.end()) {
        return refuse(id, kBadHandle, "the session ended because its events were not read");
    }
    const bool came_back = hello.session != SessionId{};
    const SessionId session = came_back ? hello.session : SessionId{random_.next()};
    if (sessions_.contains(session)) end(session, End::Replaced);

    const auto kernel_pid = static_cast<std::uint32_t>(peer.credentials.pid);
    const Client client{.service = hello.service,
                        .uid = peer.credentials.uid,
                        .gid = peer.credentials.gid,
                        .pid = member_pid(kernel_pid, hello.pid),
                        .kernel_pid = kernel_pid,
                        .came_back = came_back};
    peer.session = session;
    sessions_.emplace(
        session,
        Session{.client = client, .control = id, .events = {}, .outstanding = {}, .waiting = {}});
    ++(came_back ? counters_.came_back : counters_.opened);
    send(id, api::Welcome{.session = session, .self = *self_});
    callbacks_.opened(session, client);
}

void Server::on_events_here(ConnectionId id, Peer& peer, const api::EventsHere& here) {
    const auto found = sessions_.find(here.session);
    // A secret of one user's process is no secret of another's.
    const bool is_its = found != sessions_.end() && self_ &&
                        found->second.client.uid == peer.credentials.uid && !found->second.events &&
                        peer.session == SessionId{};
    if (!is_its) return refuse(id, kBadHandle, "no such session");
    Session& session = found->second;
    peer.session = here.session;
    peer.is_events = true;
    session.events = id;
    send(id, api::Welcome{.session = here.session, .self = *self_});
    session.waiting_bytes = 0;
    for (const base::Buffer& payload : std::exchange(session.waiting, {})) {
        event(here.session, payload);
    }
}

void Server::on_request(ConnectionId id, const Peer& peer, api::Request request) {
    const auto found = sessions_.find(peer.session);
    if (found == sessions_.end() || peer.is_events || found->second.outstanding) return broke(id);
    found->second.outstanding = request.number;
    ++found->second.requests;
    ++counters_.requests;
    callbacks_.request(found->first, request.number, std::move(request.payload));
}

void Server::on_goodbye(ConnectionId id, const Peer& peer, const api::Goodbye& goodbye) {
    if (!sessions_.contains(peer.session) || peer.is_events) return broke(id);
    send(id, api::Reply{.number = goodbye.number, .error = kOk, .payload = {}});
    end(peer.session, End::Goodbye);
}

void Server::on_keep(ConnectionId id, const Peer& peer, const api::Keep& keep) {
    const auto found = sessions_.find(peer.session);
    if (found == sessions_.end() || peer.is_events || found->second.outstanding) return broke(id);
    send(id, api::Reply{.number = keep.number, .error = kOk, .payload = {}});
}

void Server::on_closed(ConnectionId id) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return;
    const SessionId session = found->second.session;
    peers_.erase(found);
    if (sessions_.contains(session)) end(session, End::Gone);
}

void Server::broke(ConnectionId id) {
    ++counters_.protocol_errors;
    const SessionId session = peers_.at(id).session;
    if (sessions_.contains(session)) return end(session, End::Broke);
    close_connection(id);
    peers_.erase(id);
}

void Server::refuse(ConnectionId id, std::uint32_t error, const char* reason) {
    ++counters_.refused;
    send(id, api::Refused{.error = error, .reason = reason});
    close_connection(id);
    peers_.erase(id);
}

void Server::close_connection(ConnectionId id) {
    listening_[id.first].server->close(id.second);
}

// ---------------------------------------------------------------- sessions

void Server::reply(SessionId session, std::uint64_t number, std::uint32_t error,
                   const base::Buffer& payload) {
    const auto found = sessions_.find(session);
    if (found == sessions_.end() || found->second.outstanding != number) return;
    found->second.outstanding.reset();
    send(found->second.control, api::Reply{.number = number, .error = error, .payload = {}},
         payload);
}

void Server::event(SessionId session, const base::Buffer& payload) {
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return;
    Session& to = found->second;
    if (!to.events) {
        to.waiting_bytes += payload.size() + kEnvelopeBytesMax;
        if (to.waiting_bytes > kEventBytesMax) return overflow(session);
        to.waiting.push_back(payload);
        return;
    }
    ++to.events_sent;
    ++counters_.events;
    const bool taken = listening_[to.events->first].server->send(
        to.events->second, api::encode_header(api::DaemonFrame{api::Event{}}), payload);
    if (!taken) overflow(session);
}

// Not at once: whoever sends an event may be in the middle of sending it to many.
void Server::overflow(SessionId session) {
    if (std::ranges::find(overflowing_, session) == overflowing_.end()) {
        overflowing_.push_back(session);
    }
}

void Server::close(SessionId session) {
    drop(session);
}

void Server::end(SessionId session, End why) {
    drop(session);
    callbacks_.closed(session, why);
}

void Server::drop(SessionId session) {
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return;
    const ConnectionId control = found->second.control;
    const std::optional<ConnectionId> events = found->second.events;
    sessions_.erase(found);
    for (const ConnectionId& id : {control, events.value_or(control)}) {
        if (peers_.erase(id) > 0) close_connection(id);
    }
}

void Server::send(ConnectionId to, const api::DaemonFrame& frame, const base::Buffer& payload) {
    const bool taken =
        listening_[to.first].server->send(to.second, api::encode_header(frame), payload);
    // One reply at a time: what fills the queue are replies that nobody reads.
    const auto peer = peers_.find(to);
    if (!taken && peer != peers_.end()) overflow(peer->second.session);
}

void Server::flush() {
    for (const SessionId session : std::exchange(overflowing_, {})) {
        if (!sessions_.contains(session)) continue;
        ++counters_.overflowed;
        overflowed_.push_back(session);
        if (overflowed_.size() > kOverflowedMax) overflowed_.pop_front();
        end(session, End::Overflow);
    }
    for (const Listening& listening : listening_) {
        listening.server->flush();
    }
}

const Client* Server::find(SessionId session) const {
    const auto found = sessions_.find(session);
    return found == sessions_.end() ? nullptr : &found->second.client;
}

std::vector<SessionStatus> Server::sessions() const {
    std::vector<SessionStatus> all;
    all.reserve(sessions_.size());
    for (const auto& [id, session] : sessions_) {
        const std::size_t queued =
            session.events
                ? listening_[session.events->first].server->queued_bytes(session.events->second)
                : session.waiting_bytes;
        all.push_back({.id = id,
                       .client = session.client,
                       .requests = session.requests,
                       .events = session.events_sent,
                       .queued_bytes = queued});
    }
    return all;
}

}  // namespace session
