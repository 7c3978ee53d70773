// A node whose ringd was lost: what it had submitted the others may have had, and it has not.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "cpgd/core/core.hpp"

namespace cpg {

using protocol::cpg::Reason;

// Each node of which others had more than it has now, from before its ringd was lost.
std::set<base::NodeId> Core::lagging_nodes() const {
    std::set<base::NodeId> lagging;
    for (const auto& [node, own] : exchange_->brought) {
        const auto claim = own.had.find(node);
        const Progress claimed = claim == own.had.end() ? Progress{} : claim->second;
        const bool is_behind = std::ranges::any_of(exchange_->brought, [&](const auto& each) {
            const auto had = each.second.had.find(node);
            return had != each.second.had.end() && claimed.lacks(had->second);
        });
        if (is_behind) lagging.insert(node);
    }
    return lagging;
}

// A node that catches up does it alone, also when it had come to some of the view before those who
// had more of it: to them it went, and they to it, as in a partition before the view.
void Core::part_from_lagging_nodes(Context& context) {
    std::set<base::NodeId> parted;
    const bool are_we = exchange_->lagging->contains(self_);
    for (const auto& [node, incarnation] : known_) {
        if (node != self_ && (are_we || exchange_->lagging->contains(node))) parted.insert(node);
    }
    forget_nodes(context, parted);
}

// Takes in, alone, what others had of us before our ringd was lost: in its order, and before
// anything of the new view. It is not said again. What a former life submitted nobody can give us:
// the sessions of that life end.
void Core::catch_up(Context& context) {
    Place target;
    for (const auto& [node, brought] : exchange_->brought) {
        const auto theirs = brought.had.find(self_);
        if (theirs == brought.had.end()) continue;
        for (const Place& place : {theirs->second.former, theirs->second.last}) {
            if (!had_[self_].lacks(place)) continue;
            if (place.life == life_) {
                target = std::max(target, place);
            } else {
                forget_unsure_sessions(context);
            }
        }
    }
    for (const HeldBatch& batch : exchange_->held) {
        if (batch.sender == self_ && batch.place <= target) apply(context, batch);
    }
    std::ptrdiff_t taken = 0;
    for (const base::Buffer& bytes : unordered_) {
        auto batch = decode_batch(bytes);
        INVARIANT(batch.has_value());
        if (batch->place > target) break;
        ++taken;
        apply(context, {.sender = self_,
                        .place = batch->place,
                        .records = std::move(batch->records),
                        .bytes = bytes.size()});
    }
    // Else they are under way and come back.
    if (is_again_due_) unordered_.erase(unordered_.begin(), unordered_.begin() + taken);
}

// Sessions of a former life whose clients may say again what others have had.
void Core::forget_unsure_sessions(Context& context) {
    std::vector<SessionId> unsure;
    for (const auto& [id, client] : clients_) {
        if (client.sure_events) unsure.push_back(id);
    }
    for (const SessionId id : unsure) {
        const auto changes = groups_.end({self_, id});
        ClientSession& client = clients_.at(id);
        close(context, client.requests);
        close(context, client.events);
        clients_.erase(id);
        tell_left(context, changes, Reason::ProcDown);
    }
    is_flow_due_ = true;
}

// A former life of ours caught up and died before the exchange was over: what it brought counts.
// Its clients can't go on, since what they had nobody knows.
void Core::take_over_from_former_life(Context& context, const Brought& brought) {
    forget_unsure_sessions(context);
    (void)groups_.remove_nodes({self_});
    clients_.clear();
    (void)groups_.install(self_, brought.sessions, brought.stopped_groups);
    for (const SessionState& state : brought.sessions) {
        ClientSession& client = clients_[state.session];
        client.id = state.session;
        client.pid = state.pid;
        client.opened = true;
        client.ending = true;
        pending_.push(PendingQueue::kNobody, {.record = End{.session = state.session}});
    }
}

}  // namespace cpg
