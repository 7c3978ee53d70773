// What clients ask for: sessions begin, go on and end; requests are checked and become records.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "cpgd/core/core.hpp"

namespace cpg {
namespace {

// A message up to this size that was begun is also finished while its group is stopped. What all
// members may send through a stop must stay well below SessionLimits::hard_bytes.
constexpr std::uint64_t kMessageThroughStopMax = std::uint64_t{8} << 20u;

// How many times a user's sessions together may exceed what they were told. They may for a moment:
// a window that was told stays open while more sessions come, each with its share.
constexpr std::size_t kUserBoundTimes = 4;

}  // namespace

namespace api = protocol::cpg;

void Core::on(Context&, const ClientConnected& connected) {
    INVARIANT(connected.fresh_session != SessionId{});
    const bool is_new =
        connections_
            .emplace(connected.connection, Connection{.uid = connected.uid,
                                                      .kernel_pid = connected.kernel_pid,
                                                      .fresh_session = connected.fresh_session})
            .second;
    INVARIANT(is_new);
}

void Core::on(Context& context, const ClientSent& sent) {
    const auto found = connections_.find(sent.connection);
    if (found == connections_.end()) return;  // Closed by us meanwhile.
    if (found->second.session != SessionId{}) {
        const auto client = clients_.find(found->second.session);
        INVARIANT(client != clients_.end());
        std::visit(
            [&](const auto& frame) { serve(context, sent.connection, client->second, frame); },
            sent.frame);
        return;
    }
    found->second.takes_runs = sent.takes_runs;
    const auto* hello = std::get_if<api::Hello>(&sent.frame);
    const auto* here = std::get_if<api::EventsHere>(&sent.frame);
    if (hello == nullptr && here == nullptr) {
        break_off(context, sent.connection);
    } else if (!is_synchronised_) {
        refuse(context, sent.connection, CsError::TryAgain, "not synchronised yet");
    } else if (is_marker_awaited_) {
        waiting_.emplace_back(sent.connection, sent.frame);
    } else if (hello != nullptr) {
        greet(context, sent.connection, *hello);
    } else {
        greet(context, sent.connection, *here);
    }
}

void Core::on(Context& context, const ClientGone& gone) {
    const auto found = connections_.find(gone.connection);
    if (found == connections_.end()) return;
    const SessionId session = found->second.session;
    connections_.erase(found);
    const auto client = clients_.find(session);
    if (client == clients_.end()) return;
    // One of which nothing is in the order has nothing to come back for: its client makes it anew.
    client->second.opened ? orphan(context, client->second) : end_session(context, session);
}

bool Core::may_come_back(ConnectionId connection) const {
    const auto found = connections_.find(connection);
    if (found == connections_.end()) return false;
    const auto client = clients_.find(found->second.session);
    return client != clients_.end() && client->second.opened;
}

void Core::on(Context& context, const ClientBroke& broke) {
    if (connections_.contains(broke.connection)) break_off(context, broke.connection);
}

void Core::on(Context& context, const ProcessDied& died) {
    std::vector<SessionId> ended;
    for (const auto& [id, client] : clients_) {
        if (client.kernel_pid == died.kernel_pid) ended.push_back(id);
    }
    for (const SessionId id : ended) {
        end_session(context, id);
    }
    std::vector<ConnectionId> closed;
    for (const auto& [id, connection] : connections_) {
        if (connection.kernel_pid == died.kernel_pid) closed.push_back(id);
    }
    for (const ConnectionId id : closed) {
        close(context, id);
    }
}

// ---------------------------------------------------------------- greeting

// The same process of the same user as before: the number of a session is no password.
ClientSession* Core::session_of(const Connection& connection, SessionId id) {
    const auto found = clients_.find(id);
    if (found == clients_.end() || found->second.ending) return nullptr;
    const bool is_same =
        found->second.uid == connection.uid && found->second.kernel_pid == connection.kernel_pid;
    return is_same ? &found->second : nullptr;
}

void Core::greet(Context& context, ConnectionId id, const api::Hello& hello) {
    Connection& connection = connections_.at(id);
    ClientSession* session = session_of(connection, hello.session);
    if (session != nullptr && hello.last_event > session->sure_events.value_or(hello.last_event)) {
        end_session(context, session->id);
        session = nullptr;
    }
    const bool resumed =
        session != nullptr && (hello.separate_events || session->acknowledge(hello.last_event));
    if (!resumed) {
        session = &clients_[connection.fresh_session];
        INVARIANT(session->id == SessionId{});
        session->id = connection.fresh_session;
        session->uid = connection.uid;
        session->kernel_pid = connection.kernel_pid;
        session->pid = hello.pid;
        session->totem_events = hello.totem_events;
        session->initial_totem_event = hello.initial_totem_event;
    } else {
        close(context, session->requests);
        close(context, session->events);
    }
    connection.session = session->id;
    session->separate_events = hello.separate_events;
    session->requests = id;
    session->events.reset();
    session->orphaned_until.reset();
    session->progress = context.now;
    welcome(context, *session, resumed, id);
    if (hello.separate_events) return;
    session->events = id;
    session->takes_runs = connection.takes_runs;
    resend_events(context, *session);
}

void Core::greet(Context& context, ConnectionId id, const api::EventsHere& here) {
    Connection& connection = connections_.at(id);
    ClientSession* session = session_of(connection, here.session);
    if (session == nullptr || !session->separate_events || !session->requests ||
        !session->acknowledge(here.last_event)) {
        refuse(context, id, CsError::NotExist, "no such session that waits for this connection");
        return;
    }
    close(context, session->events);
    connection.session = session->id;
    session->events = id;
    session->takes_runs = connection.takes_runs;
    welcome(context, *session, true, id);
    resend_events(context, *session);
}

void Core::welcome(Context& context, ClientSession& session, bool resumed,
                   ConnectionId connection) {
    session.told_window = window_of(session);
    session.uncredited_bytes = 0;
    context.actions.emplace_back(
        SendToClient{.connection = connection,
                     .frame = api::Welcome{.session = session.id,
                                           .self = self_,
                                           .resumed = resumed,
                                           .taken = session.received,
                                           .window_bytes = session.told_window}});
}

void Core::resend_events(Context& context, ClientSession& session) {
    session.is_awaited = false;
    for (const auto& queued : session.queue) {
        send_queued(context, session, queued.event);
    }
    look_at_queue(context, session);
}

void Core::refuse(Context& context, ConnectionId connection, CsError error, const char* reason) {
    context.actions.emplace_back(SendToClient{
        .connection = connection,
        .frame = api::Refused{.error = static_cast<std::uint32_t>(error), .reason = reason}});
    close(context, connection);
}

void Core::break_off(Context& context, ConnectionId connection) {
    ++counters_.protocol_errors;
    const SessionId session = connections_.at(connection).session;
    if (clients_.contains(session)) {
        end_session(context, session);
    } else {
        close(context, connection);
    }
}

void Core::close(Context& context, std::optional<ConnectionId> connection) {
    if (!connection || connections_.erase(*connection) == 0) return;
    context.actions.emplace_back(CloseClient{*connection});
}

// ---------------------------------------------------------------- requests

void Core::append(ClientSession& session, Record record, bool safe) {
    if (!session.opened) {
        session.opened = true;
        pending_.push(session.uid,
                      {.record = Open{.session = session.id,
                                      .pid = session.pid,
                                      .kernel_pid = session.kernel_pid,
                                      .uid = session.uid,
                                      .totem_events = session.totem_events,
                                      .initial_totem_event = session.initial_totem_event}});
    }
    pending_.push(session.uid, {.record = std::move(record), .safe = safe});
}

CsError Core::may_join(const ClientSession& session, const api::Join& join) const {
    const auto asked = session.asked.find(join.handle);
    if (asked != session.asked.end()) return asked->second.is_join ? CsError::Exist : CsError::Busy;
    const Session* known = groups_.find(key_of(session));
    if (known != nullptr && known->handles.contains(join.handle)) return CsError::Exist;
    if (known != nullptr && known->handles.size() + session.asked.size() >= api::kGroupsASessionMax)
        return CsError::TooManyGroups;
    // One process is in a group once, whatever handle or session.
    for (const auto& [id, other] : clients_) {
        if (other.pid != session.pid) continue;
        const Session* others = groups_.find({self_, id});
        for (const auto& [handle, request] : other.asked) {
            if (request.is_join && request.group == join.group) return CsError::Exist;
        }
        if (others == nullptr) continue;
        for (const auto& [handle, group] : others->handles) {
            if (groups_.at(group).name != join.group) continue;
            const bool goes = other.ending || other.asked.contains(handle);
            return goes ? CsError::TryAgain : CsError::Exist;
        }
    }
    return CsError::Ok;
}

// A process that joins again does not come back for the session that it was in this group with, and
// need not wait until that one's time is over.
void Core::end_abandoned(Context& context, const ClientSession& session, const std::string& group) {
    std::vector<SessionId> abandoned;
    for (const auto& [id, other] : clients_) {
        if (!other.orphaned_until || other.kernel_pid != session.kernel_pid) continue;
        const Session* known = groups_.find({self_, id});
        if (known == nullptr) continue;
        const bool is_in = std::ranges::any_of(known->handles, [&](const auto& joined) {
            return groups_.at(joined.second).name == group;
        });
        if (is_in) abandoned.push_back(id);
    }
    for (const SessionId id : abandoned) {
        end_session(context, id);
    }
}

CsError Core::may_leave(const ClientSession& session, const api::Leave& leave) const {
    const auto asked = session.asked.find(leave.handle);
    if (asked != session.asked.end())
        return asked->second.is_join ? CsError::Busy : CsError::NotExist;
    const Session* known = groups_.find(key_of(session));
    const bool is_joined = known != nullptr && known->handles.contains(leave.handle);
    return is_joined ? CsError::Ok : CsError::NotExist;
}

// A session's greeting comes first, and once a connection.
void Core::serve(Context& context, ConnectionId connection, ClientSession&, const api::Hello&) {
    break_off(context, connection);
}
void Core::serve(Context& context, ConnectionId connection, ClientSession&,
                 const api::EventsHere&) {
    break_off(context, connection);
}

// Whether a join or leave is said again after a reconnect; then it is answered here or later.
bool Core::is_repeat(Context& context, const ClientSession& session, std::uint32_t request) {
    const Session* known = groups_.find(key_of(session));
    const std::uint32_t done = known == nullptr ? 0 : known->request;
    if (request <= done) {
        const bool is_last = request == done && request != 0;
        reply(context, session, request, is_last ? CsError::Ok : CsError::InvalidParam);
        return true;
    }
    return std::ranges::any_of(
        session.asked, [request](const auto& asked) { return asked.second.request == request; });
}

void Core::serve(Context& context, ConnectionId, ClientSession& session, const api::Join& join) {
    if (is_repeat(context, session, join.request)) return;
    end_abandoned(context, session, join.group);
    const CsError error = may_join(session, join);
    if (error != CsError::Ok) return reply(context, session, join.request, error);
    session.asked[join.handle] = {.is_join = true, .request = join.request, .group = join.group};
    append(session, Join{.session = session.id,
                         .request = join.request,
                         .handle = join.handle,
                         .group = join.group});
}

void Core::serve(Context& context, ConnectionId, ClientSession& session, const api::Leave& leave) {
    if (is_repeat(context, session, leave.request)) return;
    const CsError error = may_leave(session, leave);
    if (error != CsError::Ok) return reply(context, session, leave.request, error);
    session.asked[leave.handle] = {.is_join = false, .request = leave.request, .group = {}};
    append(session, Leave{.session = session.id, .request = leave.request, .handle = leave.handle});
}

bool Core::take_in(ClientSession& session, const Sent& sent) {
    const std::size_t cost = sent.payload_bytes + sent.count * api::kMcastCostBytes;
    session.since_stop_bytes += session.told_stop ? cost : 0;
    // One message longer than the window may come when nothing is outstanding.
    const std::size_t bound = config_.session.window_bytes + mcast_cost(api::kPartBytesMax);
    const bool is_in_order = sent.number == session.received + 1;
    User& user = users_[session.uid];
    if (!is_in_order || session.outstanding_bytes + cost > bound ||
        user.outstanding_bytes + cost > kUserBoundTimes * config_.user_window_bytes + bound ||
        session.since_stop_bytes > bound + kMessageThroughStopMax)
        return false;
    if (sent.is_inside_message != session.is_inside_message) is_window_due_ = true;
    session.is_inside_message = sent.is_inside_message;
    session.received += sent.count;
    session.outstanding_bytes += cost;
    user.outstanding_bytes += cost;
    counters_.multicasts += sent.count;
    counters_.multicast_bytes += sent.payload_bytes;
    return true;
}

void Core::serve(Context& context, ConnectionId connection, ClientSession& session,
                 const api::Mcast& mcast) {
    if (mcast.number <= session.received) return;  // We had it before the client came back.
    using Part = api::Mcast::Part;
    const bool is_open = mcast.part == Part::First || mcast.part == Part::Middle;
    const Sent sent{.number = mcast.number,
                    .count = 1,
                    .payload_bytes = mcast.payload.size(),
                    .is_inside_message = is_open && mcast.message_bytes <= kMessageThroughStopMax};
    if (!take_in(session, sent)) return break_off(context, connection);
    append(session,
           Mcast{.session = session.id,
                 .number = mcast.number,
                 .handle = mcast.handle,
                 .part = mcast.part,
                 .message_bytes = mcast.message_bytes,
                 .payload = mcast.payload},
           mcast.safe);
}

void Core::serve(Context& context, ConnectionId connection, ClientSession& session,
                 const api::McastRun& run) {
    // Of what it says again, we may have had a part.
    const std::uint64_t had = run.number > session.received ? 0 : session.received - run.number + 1;
    if (had >= run.messages.count()) return;
    const api::MessageRun fresh = run.messages.without_first(had);
    const Sent sent{
        .number = run.number + had, .count = fresh.count(), .payload_bytes = fresh.payload_bytes()};
    if (!take_in(session, sent)) return break_off(context, connection);
    append(
        session,
        McastRun{
            .session = session.id, .number = sent.number, .handle = run.handle, .messages = fresh},
        run.safe);
}

void Core::serve(Context& context, ConnectionId, ClientSession& session,
                 const api::MembershipGet& get) {
    api::MembershipReply answer{.request = get.request, .members = {}};
    if (const auto index = groups_.index_of(get.group)) answer.members = members_of(*index);
    context.actions.emplace_back(
        SendToClient{.connection = *session.requests, .frame = std::move(answer)});
}

void Core::serve(Context& context, ConnectionId, ClientSession& session,
                 const api::GroupsGet& get) {
    api::GroupsReply answer{.request = get.request, .groups = {}};
    for (const auto& [name, index] : groups_.by_name()) {
        if (get.one_group && name != get.group) continue;
        answer.groups.push_back({.group = name, .members = members_of(index)});
    }
    context.actions.emplace_back(
        SendToClient{.connection = *session.requests, .frame = std::move(answer)});
}

std::vector<api::Member> Core::members_of(GroupIndex index) const {
    const Group& group = groups_.at(index);
    std::vector<api::Member> members;
    members.reserve(group.members.size());
    for (const auto& [address, seat] : group.members) {
        members.push_back({.node = address.node, .pid = address.pid});
    }
    return members;
}

void Core::serve(Context& context, ConnectionId connection, ClientSession& session,
                 const api::EventAck& ack) {
    const std::uint64_t before = session.acknowledged;
    if (!session.acknowledge(ack.event)) {
        break_off(context, connection);
        return;
    }
    if (session.acknowledged > before) session.progress = context.now;
    look_at_queue(context, session);
}

void Core::serve(Context& context, ConnectionId, ClientSession& session,
                 const api::Goodbye& goodbye) {
    reply(context, session, goodbye.request, CsError::Ok);
    end_session(context, session.id);
}

// The driver has seen to it.
void Core::serve(Context& context, ConnectionId, ClientSession& session, const api::Keep& keep) {
    reply(context, session, keep.request, CsError::Ok);
}

// ---------------------------------------------------------------- ends

void Core::orphan(Context& context, ClientSession& session) {
    close(context, session.requests);
    close(context, session.events);
    session.requests.reset();
    session.events.reset();
    session.orphaned_until = context.now + config_.grace_time;
}

void Core::end_session(Context& context, SessionId id) {
    ClientSession& session = clients_.at(id);
    if (session.ending) return;
    session.ending = true;
    session.is_awaited = false;
    close(context, session.requests);
    close(context, session.events);
    session.requests.reset();
    session.events.reset();
    session.orphaned_until.reset();
    (void)session.acknowledge(session.next_event - 1);  // Nobody comes for them.
    session.is_slow = false;
    is_flow_due_ = true;
    if (!session.opened) {
        clients_.erase(id);
        return;
    }
    append(session, End{.session = id});
}

}  // namespace cpg
