// Records that came in the order: each takes effect here, the same at every node.
#include <algorithm>
#include <utility>

#include "common/base/invariant.hpp"
#include "cpgd/core/core.hpp"

namespace cpg {
namespace {

using protocol::cpg::Confchg;
using protocol::cpg::Delivered;
using protocol::cpg::DeliveredRun;
using protocol::cpg::Member;
using protocol::cpg::Reason;
using protocol::cpg::TotemConfchg;

// What a queue may keep alive beyond what it counts, before payloads are copied out of batches.
constexpr std::size_t kWasteBytesMax = std::size_t{4} << 20u;

std::vector<Member> with_reason(const std::vector<Address>& addresses, Reason reason) {
    std::vector<Member> members;
    members.reserve(addresses.size());
    for (const Address& address : addresses) {
        members.push_back({.node = address.node, .pid = address.pid, .reason = reason});
    }
    return members;
}

McastRun without_first(const McastRun& run, std::uint64_t count) {
    return {.session = run.session,
            .number = run.number + count,
            .handle = run.handle,
            .messages = run.messages.without_first(count)};
}

}  // namespace

ClientSession* Core::client_of(base::NodeId sender, SessionId session) {
    if (sender != self_) return nullptr;
    const auto client = clients_.find(session);
    return client == clients_.end() ? nullptr : &client->second;
}

void Core::send_event(Context& context, ClientSession& session, ClientSession::What what,
                      std::size_t held) {
    if (session.ending) return;
    const auto& event = session.push(std::move(what), held);
    counters_.events += events_in(event);
    if (session.events) send_queued(context, session, event);
    look_at_queue(context, session);
}

// Needs: the session has a connection for events.
void Core::send_queued(Context& context, const ClientSession& session,
                       const protocol::cpg::SessionEvent& event) {
    const auto send = [&](protocol::cpg::SessionEvent frame) {
        context.actions.emplace_back(
            SendToClient{.connection = *session.events, .frame = std::move(frame)});
    };
    const auto* run = std::get_if<DeliveredRun>(&event.what);
    if (run == nullptr || session.takes_runs) return send(event);
    for_each_event(event.event, *run, [&](const protocol::cpg::SessionEvent& one) {
        if (one.event > session.acknowledged) send(one);
    });
}

void Core::reply(Context& context, const ClientSession& session, std::uint32_t request,
                 CsError error) {
    if (!session.requests) return;
    context.actions.emplace_back(SendToClient{
        .connection = *session.requests,
        .frame =
            protocol::cpg::Reply{.request = request, .error = static_cast<std::uint32_t>(error)}});
}

void Core::tell_group(Context& context, GroupIndex index, std::vector<Member> left,
                      std::vector<Member> joined, const std::optional<Seat>& leaver) {
    const Group& group = groups_.at(index);
    const Confchg change{.handle = {},
                         .members = members_of(index),
                         .left = std::move(left),
                         .joined = std::move(joined)};
    const auto tell = [&](const Seat& seat) {
        Confchg told = change;
        told.handle = seat.handle;
        send_event(context, clients_.at(seat.session), std::move(told));
    };
    for (auto member = group.members.lower_bound(Address{self_, 0});
         member != group.members.end() && member->first.node == self_; ++member) {
        tell(member->second);
    }
    if (leaver) tell(*leaver);
}

void Core::tell_left(Context& context, const std::vector<GroupChange>& changes, Reason reason) {
    for (const GroupChange& change : changes) {
        tell_group(context, change.group, with_reason(change.members, reason), {});
        groups_.drop_if_empty(change.group);
    }
}

void Core::tell_totem(Context& context, ClientSession& session, GroupHandle handle) {
    send_event(context, session,
               TotemConfchg{.handle = handle, .ring = told_ring_, .members = told_nodes_});
}

void Core::apply(Context& context, const HeldBatch& batch) {
    auto& [last, former] = had_[batch.sender];
    if (batch.place.life != last.life) {
        former = std::exchange(last, batch.place);
    } else if (batch.place.number <= last.number) {
        ++counters_.repeats_dropped;
        return;
    }
    last = batch.place;
    batch_bytes_ = batch.bytes;
    ++batch_count_;
    ++counters_.batches_applied;
    for (const Record& record : batch.records) {
        std::visit([&](const auto& what) { apply(context, batch.sender, what); }, record);
    }
}

void Core::apply(Context& context, base::NodeId sender, const Open& open) {
    groups_.open({sender, open.session}, open.pid);
    if (sender != self_) return;
    // Not ours: of the former life, and its client may come back.
    const auto [client, is_new] = clients_.try_emplace(open.session);
    ClientSession& session = client->second;
    session.opened = true;
    if (!is_new) return;
    session.id = open.session;
    session.pid = open.pid;
    session.kernel_pid = open.kernel_pid;
    session.uid = open.uid;
    session.totem_events = open.totem_events;
    session.initial_totem_event = open.initial_totem_event;
    session.is_awaited = true;
    orphan(context, session);
}

void Core::apply(Context& context, base::NodeId sender, const Join& join) {
    const SessionKey key{sender, join.session};
    Session* session = groups_.find(key);
    if (session == nullptr || join.request <= session->request) {
        ++counters_.repeats_dropped;
        return;
    }
    session->request = join.request;
    const bool is_free = !session->handles.contains(join.handle);
    const bool joined = is_free && groups_.join(key, join.handle, join.group);

    ClientSession* client = client_of(sender, join.session);
    if (client != nullptr) {
        client->asked.erase(join.handle);
        reply(context, *client, join.request, joined ? CsError::Ok : CsError::Exist);
    }
    if (!joined) return;
    const Member member{.node = sender, .pid = session->pid, .reason = Reason::Join};
    tell_group(context, session->handles.at(join.handle), {}, {member});
    if (client == nullptr) return;
    if (client->totem_events && client->initial_totem_event) {
        tell_totem(context, *client, join.handle);
    }
    is_flow_due_ = true;  // The group may be stopped, or this session be slow.
}

void Core::apply(Context& context, base::NodeId sender, const Leave& leave) {
    const SessionKey key{sender, leave.session};
    Session* session = groups_.find(key);
    if (session == nullptr || leave.request <= session->request) {
        ++counters_.repeats_dropped;
        return;
    }
    session->request = leave.request;
    const auto change = groups_.leave(key, leave.handle);

    ClientSession* client = client_of(sender, leave.session);
    if (client != nullptr) {
        client->asked.erase(leave.handle);
        reply(context, *client, leave.request, change ? CsError::Ok : CsError::NotExist);
    }
    if (!change) return;
    std::optional<Seat> leaver;
    if (client != nullptr) leaver = Seat{.session = leave.session, .handle = leave.handle};
    tell_group(context, change->group, with_reason(change->members, Reason::Leave), {}, leaver);
    groups_.drop_if_empty(change->group);
    is_flow_due_ = true;
}

void Core::apply(Context& context, base::NodeId sender, const End& end) {
    const auto changes = groups_.end({sender, end.session});
    if (sender == self_) clients_.erase(end.session);
    tell_left(context, changes, Reason::ProcDown);
    is_flow_due_ = true;
}

void Core::take_back(base::NodeId sender, SessionId session, std::uint64_t last, std::size_t cost) {
    ClientSession* client = client_of(sender, session);
    if (client == nullptr) return;
    if (last > client->received) {
        client->received = last;  // Received in the former life.
        return;
    }
    INVARIANT(client->outstanding_bytes >= cost);
    client->outstanding_bytes -= cost;
    client->uncredited_bytes += cost;
}

// A payload keeps its whole batch alive. Where that is out of proportion it is copied out.
std::pair<base::Buffer, std::size_t> Core::keep(ClientSession& receiver, KeptPayload& kept) const {
    const std::size_t held = receiver.held_batch == batch_count_ ? 0 : batch_bytes_;
    if (receiver.held_bytes + held <= 2 * receiver.queued_bytes + kWasteBytesMax) {
        receiver.held_batch = batch_count_;
        return {kept.payload, held};
    }
    if (!kept.copy) kept.copy = base::Buffer::copy_of(kept.payload.bytes());
    return {*kept.copy, 0};
}

// As its messages one by one.
void Core::apply(Context& context, base::NodeId sender, const McastRun& run) {
    Session* session = groups_.find({sender, run.session});
    const std::uint64_t last = run.number + run.messages.count() - 1;
    if (session == nullptr || last <= session->number) {
        counters_.repeats_dropped += run.messages.count();
        return;
    }
    if (run.number <= session->number) {
        const std::uint64_t repeated = session->number - run.number + 1;
        counters_.repeats_dropped += repeated;
        return apply(context, sender, without_first(run, repeated));
    }
    // A part was received in this life, the rest in the former one.
    const ClientSession* client = client_of(sender, run.session);
    if (client != nullptr && run.number <= client->received && client->received < last) {
        const std::uint64_t received = client->received - run.number + 1;
        McastRun first = run;
        first.messages = run.messages.first(received);
        apply(context, sender, first);
        return apply(context, sender, without_first(run, received));
    }

    session->number = last;
    take_back(sender, run.session, last,
              run.messages.payload_bytes() + run.messages.count() * protocol::cpg::kMcastCostBytes);
    const auto handle = session->handles.find(run.handle);
    if (handle == session->handles.end()) return;
    const Group& group = groups_.at(handle->second);
    const std::uint32_t pid = session->pid;
    const std::size_t count = run.messages.count();
    KeptPayload kept{.payload = run.messages.bytes()};
    for (auto member = group.members.lower_bound(Address{self_, 0});
         member != group.members.end() && member->first.node == self_; ++member) {
        ClientSession& receiver = clients_.at(member->second.session);
        const auto [messages, held] = keep(receiver, kept);
        send_event(context, receiver,
                   DeliveredRun{.handle = member->second.handle,
                                .node = sender,
                                .pid = pid,
                                .messages = protocol::cpg::MessageRun(messages, count)},
                   held);
    }
}

void Core::apply(Context& context, base::NodeId sender, const Mcast& mcast) {
    Session* session = groups_.find({sender, mcast.session});
    if (session == nullptr || mcast.number <= session->number) {
        ++counters_.repeats_dropped;
        return;
    }
    session->number = mcast.number;
    take_back(sender, mcast.session, mcast.number, mcast_cost(mcast.payload.size()));

    const auto handle = session->handles.find(mcast.handle);
    if (handle == session->handles.end()) return;  // Sent without a join: OK, and to nobody.
    const Group& group = groups_.at(handle->second);
    const std::uint32_t pid = session->pid;
    KeptPayload kept{.payload = mcast.payload};
    for (auto member = group.members.lower_bound(Address{self_, 0});
         member != group.members.end() && member->first.node == self_; ++member) {
        ClientSession& receiver = clients_.at(member->second.session);
        const auto [payload, held] = keep(receiver, kept);
        send_event(context, receiver,
                   Delivered{.handle = member->second.handle,
                             .node = sender,
                             .pid = pid,
                             .part = mcast.part,
                             .message_bytes = mcast.message_bytes,
                             .payload = payload},
                   held);
    }
}

void Core::apply(Context&, base::NodeId sender, const Flow& flow) {
    if (groups_.set_stopped(sender, flow.group, flow.stop)) is_flow_due_ = true;
}

void Core::apply(Context& context, base::NodeId sender, const Marker& marker) {
    if (sender != self_ || !is_marker_awaited_ || marker.nonce != life_) return;
    is_marker_awaited_ = false;
    stops_.clear();
    for (const std::string& group : groups_.stopped_by(self_)) {
        stops_.insert(group);
    }
    is_flow_due_ = true;
    for (auto& [id, client] : clients_) {
        if (client.orphaned_until) client.orphaned_until = context.now + config_.grace_time;
    }
    auto waiting = std::move(waiting_);
    waiting_.clear();
    for (auto& [connection, frame] : waiting) {
        on(context, ClientSent{.connection = connection, .frame = std::move(frame)});
    }
}

// Its place is the exchange, before this.
void Core::apply(Context&, base::NodeId, const State&) {}

}  // namespace cpg
