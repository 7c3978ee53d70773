// Views and the exchange of states; writes are in replica_write.cpp.
#include "cmapd/core/replica.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace cmap {
namespace {

// Of one part of a state: small enough to share the ring with others.
constexpr std::size_t kStatePartBytes = std::size_t{64} << 10u;
// A mark, and what others have stored, changes nothing: where a restart would go on is stored with
// what comes next, or after so many, which ringd keeps meanwhile.
constexpr std::size_t kMarksUnstoredMax = 64;

}  // namespace

Replica::Replica(const std::optional<base::Buffer>& stored, Values keys, std::size_t nodes)
    : nodes_(nodes), keys_(std::move(keys)) {
    if (!stored) return;
    auto state = decode_replica(*stored);
    if (!state) return;  // Of another version: the keys count, and are older than all others.
    incarnation_ = state->incarnation;
    applied_ = state->applied;
    is_synchronised_ = state->is_synchronised;
    view_ = std::move(state->view);
    came_along_ = std::move(state->came_along);
    version_ = state->version;
    settled_ = state->settled;
    total_ = own_stored_ = state->total;
    asks_stored_ = true;
    lineage_ = std::move(state->lineage);
    answers_ = std::move(state->answers);
}

std::optional<base::Buffer> Replica::stored() const {
    if (exchange_) return std::nullopt;
    return encode_replica({.incarnation = incarnation_,
                           .applied = applied_,
                           .is_synchronised = is_synchronised_,
                           .view = view_,
                           .came_along = came_along_,
                           .version = version_,
                           .settled = settled_,
                           .total = total_,
                           .lineage = lineage_,
                           .answers = answers_});
}

void Replica::attached(base::NodeId self, bool resumed, protocol::Incarnation incarnation) {
    self_ = self;
    if (resumed && incarnation == incarnation_) return;
    incarnation_ = incarnation;
    applied_ = {};
    is_synchronised_ = false;
    view_ = {};
    came_along_.reset();
    exchange_.reset();
    stored_.clear();
    told_stored_ = 0;
    begun_in_ = {};
    read_all_again();
    for (auto& [id, pending] : pending_) {
        pending.submitted_in = {};
        pending.answer.reset();
    }
}

void Replica::happened(const protocol::Event& event, Out& out) {
    bool is_change = true;
    if (const auto* transitional = std::get_if<protocol::Transitional>(&event.what)) {
        came_along_.emplace(transitional->members.begin(), transitional->members.end());
    } else if (const auto* view = std::get_if<protocol::View>(&event.what)) {
        on_view(*view, out);
    } else if (const auto* batch = std::get_if<protocol::Batch>(&event.what)) {
        is_change = on_batch(*batch, out);
    }
    applied_ = event.cursor;
    marks_unstored_ = is_change ? 0 : marks_unstored_ + 1;
    if (!is_change && marks_unstored_ < kMarksUnstoredMax) return;
    marks_unstored_ = 0;
    out.is_changed = out.is_changed || !exchange_;
}

// Who came along from a synchronised view has what we have. All members of a view see the same of
// each other here: either all are known to all, or all take part in an exchange.
void Replica::on_view(const protocol::View& view, Out& out) {
    const bool all_came = std::ranges::all_of(view.members, [&](const auto& member) {
        return !came_along_ || came_along_->contains(member.node);
    });
    const bool nobody_new = view.joined.empty() && all_came;
    came_along_.reset();
    exchange_.reset();  // And what it held: nobody has taken it, its nodes send it again.
    view_ = view;
    stored_.clear();
    told_stored_ = 0;
    asks_stored_ = false;  // All say it in a new view.
    const bool are_we_in = std::ranges::any_of(view.members, [&](const auto& member) {
        return member.node == self_ && member.incarnation == incarnation_;
    });
    if (!are_we_in) {
        is_synchronised_ = false;  // Our attachment has ended; ringd tells.
        return;
    }
    if (is_synchronised_ && nobody_new) return go_on(out);
    begin_exchange(out);
}

void Replica::begin_exchange(Out& out) {
    is_synchronised_ = false;
    exchange_.emplace();
    out.submits.push_back({.payload = encode_record(Summary{
                               .ring = view_.ring, .view = view_.version, .version = version_}),
                           .urgent = true});
}

bool Replica::on_batch(const protocol::Batch& batch, Out& out) {
    auto record = decode_record(batch.payload);
    if (!record) return true;  // Of a version that we don't know.
    if (const auto* mark = std::get_if<Mark>(&*record)) {
        if (batch.sender == self_) on_mark(*mark, out);
        return false;
    }
    if (const auto* stored = std::get_if<Stored>(&*record)) {
        on_stored(batch.sender, *stored, out);
        return false;
    }
    if (const auto* op = std::get_if<Op>(&*record)) {
        on_op(*op, out);
    } else if (const auto* summary = std::get_if<Summary>(&*record)) {
        on_summary(batch.sender, *summary, out);
    } else if (auto* state = std::get_if<State>(&*record)) {
        on_state(batch.sender, std::move(*state), out);
    }
    return true;
}

void Replica::on_summary(base::NodeId sender, const Summary& summary, Out& out) {
    if (!exchange_ || summary.ring != view_.ring || summary.view != view_.version) return;
    if (exchange_->winner) return;  // Said again by a cmapd that was restarted.
    exchange_->summaries[sender] = summary.version;

    std::optional<base::NodeId> winner;
    bool all_same = true;
    for (const protocol::ViewMember& member : view_.members) {
        const auto said = exchange_->summaries.find(member.node);
        if (said == exchange_->summaries.end()) return;
        all_same = all_same && said->second == exchange_->summaries.begin()->second;
        if (!winner || said->second > exchange_->summaries.at(*winner)) winner = member.node;
    }
    exchange_->winner = winner;
    if (all_same) return finish_exchange(out);
    if (winner == self_) send_state(out);
}

void Replica::send_state(Out& out) const {
    State state{.ring = view_.ring,
                .view = view_.version,
                .version = version_,
                .total = total_,
                .lineage = lineage_,
                .items = {},
                .answers = answers_};
    const auto submit = [&](bool last) {
        state.last = last;
        out.submits.push_back({.payload = encode_record(state), .urgent = true});
        ++state.part;
        state.lineage.clear();
        state.items.clear();
        state.answers.clear();
    };
    std::size_t bytes = 0;
    for (const auto& [key, value] : keys_) {
        bytes += key.size() + value.bytes.size();
        state.items.push_back({.key = key, .value = value});
        if (bytes < kStatePartBytes) continue;
        submit(false);
        bytes = 0;
    }
    submit(true);
}

void Replica::on_state(base::NodeId sender, State state, Out& out) {
    if (!exchange_ || state.ring != view_.ring || state.view != view_.version) return;
    if (exchange_->winner != sender) return;
    if (state.part == 0) {  // Also once more, from a cmapd that was restarted.
        exchange_->parts = 0;
        exchange_->state = {};
    }
    if (state.part != exchange_->parts) return;
    ++exchange_->parts;
    State& whole = exchange_->state;
    whole.version = state.version;
    whole.total = state.total;
    std::ranges::move(state.lineage, std::back_inserter(whole.lineage));
    std::ranges::move(state.items, std::back_inserter(whole.items));
    whole.answers.merge(state.answers);
    if (!state.last) return;
    if (sender != self_ && whole.version != version_) install(sender, std::move(whole), out);
    finish_exchange(out);
}

// The winner's state has all that anybody here was answered. What is more was delivered when the
// ring broke, on the side that does not go on: its nodes have sent it again, or nobody knows of it.
bool Replica::is_ancestor_of(const State& state) const {
    if (settled_ == Version{} || keys_.empty()) return true;
    if (settled_.epoch == state.version.epoch) return settled_.count <= state.version.count;
    const auto end = std::ranges::find(state.lineage, settled_.epoch, &Version::epoch);
    return end != state.lineage.end() && settled_.count <= end->count;
}

void Replica::install(base::NodeId winner, State state, Out& out) {
    Apply apply;
    Lost lost{.winner = winner, .keys = {}};
    const bool is_ancestor = is_ancestor_of(state);
    Values theirs;
    for (protocol::cmap::Item& item : state.items) {
        theirs.insert_or_assign(std::move(item.key), std::move(item.value));
    }
    for (const auto& [key, value] : keys_) {
        const auto found = theirs.find(key);
        const bool is_gone = found == theirs.end();
        if (!is_gone && found->second == value) continue;
        ++lost.count;
        if (lost.keys.size() < kLostNamesMax) lost.keys.push_back(key);
        if (is_gone) apply.writes.push_back({.key = key, .value = std::nullopt});
    }
    for (const auto& [key, value] : theirs) {
        const auto own = keys_.find(key);
        if (own == keys_.end() || own->second != value) {
            apply.writes.push_back({.key = key, .value = value});
        }
    }
    keys_ = std::move(theirs);
    version_ = state.version;
    total_ = state.total;
    lineage_ = std::move(state.lineage);
    answers_ = std::move(state.answers);
    own_stored_ = 0;
    read_all_again();
    for (auto& [id, pending] : pending_) {
        pending.answer.reset();
    }
    if (!is_ancestor) {
        settled_ = version_;  // Told once.
        if (lost.count > 0) out.lost = std::move(lost);
    }
    out.applies.push_back(std::move(apply));
}

void Replica::finish_exchange(Out& out) {
    const Exchange done = std::move(*exchange_);
    exchange_.reset();
    is_synchronised_ = true;
    for (const Op& op : done.held) {
        apply(op, out);
    }
    go_on(out);
}

}  // namespace cmap
