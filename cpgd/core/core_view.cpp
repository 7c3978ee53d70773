// Views, and the exchange of states that lets all members of a view know all groups.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "cpgd/core/core.hpp"

namespace cpg {
namespace {

using protocol::cpg::Member;
using protocol::cpg::Reason;

// Of one part of a state: small enough to share the ring with others.
constexpr std::size_t kStatePartBytes = std::size_t{64} << 10u;

bool is_in(const protocol::View& view, const protocol::ViewMember& member) {
    return std::ranges::find(view.members, member) != view.members.end();
}

}  // namespace

// What we know of ourselves we know in every life.
bool Core::knows(const protocol::ViewMember& member) const {
    if (member.node == self_) return true;
    const auto known = known_.find(member.node);
    return known != known_.end() && known->second == member.incarnation;
}

bool Core::knows_all_of_view() const {
    return std::ranges::all_of(view_.members,
                               [this](const protocol::ViewMember& m) { return knows(m); });
}

// Who is in the view but did not come along from the last one has been elsewhere: what we knew of
// it no longer counts, nor what it knew of us.
std::set<base::NodeId> Core::lost_in(const protocol::View& view) const {
    std::set<base::NodeId> lost;
    for (const auto& [node, incarnation] : known_) {
        const bool came_along = !came_along_ || came_along_->contains(node);
        const bool is_new = std::ranges::find(view.joined, node) != view.joined.end();
        if (node == self_) continue;
        if (!is_in(view, {node, incarnation}) || is_new || !came_along) lost.insert(node);
    }
    return lost;
}

// The set of those who know each other is the same at all its members. So they decide the same
// here: either nobody in the view needs an exchange, or everybody takes part in it.
void Core::on_view(Context& context, const protocol::View& view) {
    if (exchange_) abort_exchange(context);
    forget_nodes(context, lost_in(view));
    came_along_.reset();
    view_ = view;
    if (!is_in(view, {self_, incarnation_})) return;  // Our attachment has ended; ringd tells.
    if (knows_all_of_view()) {
        install_view(context);
    } else {
        begin_exchange(context);
    }
}

void Core::forget_nodes(Context& context, const std::set<base::NodeId>& nodes) {
    if (nodes.empty()) return;
    is_totem_due_ = true;
    for (const base::NodeId node : nodes) {
        known_.erase(node);
    }
    tell_left(context, groups_.remove_nodes(nodes), Reason::NodeDown);
    is_flow_due_ = true;
}

void Core::begin_exchange(Context& context) {
    exchange_.emplace();
    ++counters_.exchanges;
    submit_state(context);
}

// Nobody of those who were strange before the view became known, so what they sent is for their
// side alone, and what our side sent is for our side: as if the view had not been.
void Core::abort_exchange(Context& context) {
    const Exchange aborted = std::move(*exchange_);
    exchange_.reset();
    ++counters_.exchanges_aborted;
    for (const HeldBatch& batch : aborted.held) {
        if (batch.sender != self_ && !known_.contains(batch.sender)) continue;
        apply(context, batch.sender, batch.records, batch.bytes);
    }
}

void Core::submit_state(Context& context) {
    State state{.ring = view_.ring, .version = view_.version, .sessions = {}, .stopped_groups = {}};
    state.stopped_groups = groups_.stopped_by(self_);
    const auto submit = [&](bool last) {
        state.last = last;
        const Batch batch{.incarnation = incarnation_, .records = {state}};
        context.actions.emplace_back(Submit{.payload = encode_batch(batch), .urgent = true});
        ++state.part;
        state.sessions.clear();
        state.stopped_groups.clear();
    };
    std::size_t bytes = 0;
    for (SessionState& session : groups_.sessions_of(self_)) {
        State one{.sessions = {session}, .stopped_groups = {}};
        bytes += encoded_bytes_max(one);
        state.sessions.push_back(std::move(session));
        if (bytes < kStatePartBytes) continue;
        submit(false);
        bytes = 0;
    }
    submit(true);
}

void Core::on_state(Context& context, base::NodeId sender, State state) {
    if (!exchange_ || state.ring != view_.ring || state.version != view_.version) return;
    Brought& brought = exchange_->brought[sender];
    if (brought.is_whole) return;  // Said again by a cpgd that was restarted.
    if (state.part == 0) brought = {};
    if (state.part != brought.parts) return;
    ++brought.parts;
    brought.is_whole = state.last;
    std::ranges::move(state.sessions, std::back_inserter(brought.sessions));
    std::ranges::move(state.stopped_groups, std::back_inserter(brought.stopped_groups));

    const bool all_said = std::ranges::all_of(view_.members, [this](const auto& member) {
        const auto said = exchange_->brought.find(member.node);
        return said != exchange_->brought.end() && said->second.is_whole;
    });
    if (all_said) finish_exchange(context);
}

void Core::finish_exchange(Context& context) {
    const Exchange done = std::move(*exchange_);
    exchange_.reset();

    // One event a group for all who came.
    std::map<std::string, std::vector<Member>> joined;
    for (const protocol::ViewMember& member : view_.members) {
        if (knows(member)) continue;
        const Brought& brought = done.brought.at(member.node);
        for (const GroupChange& change :
             groups_.install(member.node, brought.sessions, brought.stopped_groups)) {
            for (const Address& address : change.members) {
                joined[groups_.at(change.group).name].push_back(
                    {.node = address.node, .pid = address.pid, .reason = Reason::NodeUp});
            }
        }
    }
    for (auto& [group, members] : joined) {
        tell_group(context, *groups_.index_of(group), {}, std::move(members));
    }
    is_totem_due_ = true;
    is_flow_due_ = true;
    install_view(context);

    for (const HeldBatch& batch : done.held) {
        apply(context, batch.sender, batch.records, batch.bytes);
    }
}

// All of the view are known, and each group has been told who went and who came.
void Core::install_view(Context& context) {
    known_.clear();
    for (const protocol::ViewMember& member : view_.members) {
        known_.emplace(member.node, member.incarnation);
    }
    is_synchronised_ = true;
    if (!is_totem_due_ && told_ring_ == view_.ring) return;
    is_totem_due_ = false;
    told_ring_ = view_.ring;
    told_nodes_ = view_.ring_members;
    for (auto& [id, client] : clients_) {
        const Session* session = groups_.find({self_, id});
        if (!client.totem_events || session == nullptr) continue;
        for (const auto& [handle, group] : session->handles) {
            tell_totem(context, client, handle);
        }
    }
}

void Core::on_batch(Context& context, const protocol::Batch& batch) {
    const auto sender = std::ranges::find(view_.members, batch.sender, &protocol::ViewMember::node);
    auto decoded = decode_batch(batch.payload);
    if (sender == view_.members.end() || !decoded || decoded->incarnation != sender->incarnation) {
        ++counters_.batches_refused;
        return;
    }
    std::vector<Record> records = std::move(decoded->records);
    if (batch.sender == self_) note_own(records);

    if (records.size() == 1 && std::holds_alternative<State>(records.front())) {
        on_state(context, batch.sender, std::move(std::get<State>(records.front())));
        return;
    }
    if (exchange_) {
        exchange_->held.push_back(
            {.sender = batch.sender, .records = std::move(records), .bytes = batch.payload.size()});
        return;
    }
    apply(context, batch.sender, records, batch.payload.size());
}

// What came back need not be submitted again. Until our marker is back, it is of the former life.
void Core::note_own(const std::vector<Record>& records) {
    if (records.size() == 1 && std::holds_alternative<State>(records.front())) return;
    if (marker_ && !is_marker_back_) {
        const bool is_ours = std::ranges::any_of(records, [this](const Record& record) {
            const auto* marker = std::get_if<Marker>(&record);
            return marker != nullptr && marker->nonce == *marker_;
        });
        if (!is_ours) return;
        is_marker_back_ = true;
    }
    if (!unordered_.empty()) unordered_.pop_front();
}

}  // namespace cpg
