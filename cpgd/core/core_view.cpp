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
        apply(context, batch);
    }
}

void Core::submit_state(Context& context) {
    State state{.ring = view_.ring,
                .version = view_.version,
                .caught_up = exchange_->lagging.has_value(),
                .sessions = {},
                .stopped_groups = groups_.stopped_by(self_),
                .had = {}};
    for (const auto& [node, had] : had_) {
        state.had.push_back({.node = node, .had = had});
    }
    const auto submit = [&](bool last) {
        state.last = last;
        const Batch batch{
            .incarnation = incarnation_, .place = {.life = life_}, .records = {state}};
        context.actions.emplace_back(Submit{.payload = encode_batch(batch), .urgent = true});
        ++state.part;
        state.sessions.clear();
        state.stopped_groups.clear();
        state.had.clear();
    };
    std::size_t bytes = 0;
    for (SessionState& session : groups_.sessions_of(self_)) {
        State one{.sessions = {session}, .stopped_groups = {}, .had = {}};
        bytes += encoded_bytes_max(one);
        state.sessions.push_back(std::move(session));
        if (bytes < kStatePartBytes) continue;
        submit(false);
        bytes = 0;
    }
    submit(true);
}

void Core::on_state(Context& context, base::NodeId sender, std::uint64_t life, State state) {
    if (!exchange_ || state.ring != view_.ring || state.version != view_.version) return;
    if (state.caught_up != exchange_->lagging.has_value()) return;
    Brought& brought = exchange_->brought[sender];
    if (brought.is_whole) return;  // Said again by a cpgd that was restarted.
    if (state.part == 0) brought = {};
    brought.life = life;
    if (state.part != brought.parts) return;
    ++brought.parts;
    brought.is_whole = state.last;
    std::ranges::move(state.sessions, std::back_inserter(brought.sessions));
    std::ranges::move(state.stopped_groups, std::back_inserter(brought.stopped_groups));
    for (const NodeProgress& progress : state.had) {
        brought.had[progress.node] = progress.had;
    }

    const bool all_said = std::ranges::all_of(view_.members, [this](const auto& member) {
        const auto said = exchange_->brought.find(member.node);
        return said != exchange_->brought.end() && said->second.is_whole;
    });
    if (!all_said) return;
    if (exchange_->lagging) return finish_exchange(context);
    exchange_->lagging = lagging_nodes();
    if (exchange_->lagging->empty()) return finish_exchange(context);
    part_from_lagging_nodes(context);
    const bool are_we = exchange_->lagging->contains(self_);
    if (are_we) catch_up(context);
    for (const base::NodeId node : *exchange_->lagging) {
        exchange_->brought.erase(node);
    }
    if (are_we) submit_state(context);
}

void Core::finish_exchange(Context& context) {
    const Exchange done = std::move(*exchange_);
    exchange_.reset();
    if (done.lagging && done.lagging->contains(self_) && done.brought.at(self_).life != life_)
        take_over_from_former_life(context, done.brought.at(self_));
    for (const auto& [node, brought] : done.brought) {
        for (const auto& [other, had] : brought.had) {
            had_[other] = std::max(had_[other], had);
        }
    }
    // Of who is here its own word counts.
    for (const auto& [node, brought] : done.brought) {
        const auto own = brought.had.find(node);
        had_[node] = own == brought.had.end() ? Progress{} : own->second;
    }

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
        apply(context, batch);
    }
}

// All of the view are known, and each group has been told who went and who came.
void Core::install_view(Context& context) {
    known_.clear();
    for (const protocol::ViewMember& member : view_.members) {
        known_.emplace(member.node, member.incarnation);
    }
    is_synchronised_ = true;
    submit_again(context);
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
    if (batch.sender == self_ && decoded->place.life == life_ && decoded->place.number > 0) {
        INVARIANT(!unordered_.empty());
        unordered_.pop_front();
    }

    if (records.size() == 1 && std::holds_alternative<State>(records.front())) {
        on_state(context, batch.sender, decoded->place.life,
                 std::move(std::get<State>(records.front())));
        return;
    }
    HeldBatch held{.sender = batch.sender,
                   .place = decoded->place,
                   .records = std::move(records),
                   .bytes = batch.payload.size()};
    if (exchange_) {
        exchange_->held.push_back(std::move(held));
        return;
    }
    apply(context, held);
}

}  // namespace cpg
