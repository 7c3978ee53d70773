// Who is told when that we live: the heartbeats that are due, and whose own are missed.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/totem/failure_detector.hpp"

namespace totem {
namespace {

// Few nodes that do not take turns beat in step: who is woken by a heartbeat less than half an
// interval before its own is due sends it at once; of two that are apart one is always less than
// half behind. So they wake each other once an interval, not once for each peer and for themselves.
// With many nodes all in one moment would be too much for a socket.
constexpr std::size_t kNodesInStep = 8;

// A beat may wait for its turn by this part of the interval; one whose turn is further away is
// sent, and again when its turn has come. Less than the quarter after which it is missed.
constexpr int kTurnSlackPart = 8;

// Probes without an answer of either kind are given up: the next refusal begins anew.
constexpr std::uint32_t kProbesMax = 10;

// Between two probes of a peer whose port answers "unreachable".
constexpr Duration kProbeInterval = std::chrono::milliseconds(10);

std::uint16_t promise_of(Duration interval) {
    return static_cast<std::uint16_t>((interval + kPromiseUnit - Duration{1}) / kPromiseUnit);
}

}  // namespace

void FailureDetector::watch(base::NodeId self, const NodeSet& members, const NodeSet& near,
                            Instant now) {
    const Duration interval_before = near_interval();
    turns_.reset();
    const bool all_are_near = near.size() + 1 == members.size() && !near.empty();
    if (all_are_near) {
        const auto place = std::lower_bound(members.begin(), members.end(), self) - members.begin();
        turns_ = Turns{.first = members.front(),
                       .place = static_cast<std::uint32_t>(place),
                       .members = static_cast<std::uint32_t>(members.size()),
                       .told_at = now,
                       .all_have_lifelines = std::ranges::all_of(near, [&](base::NodeId node) {
                           const auto found = peers_.find(node);
                           return found != peers_.end() && has_lifeline(found->second);
                       })};
    }
    const bool is_worth_it =
        far_interval() >= 3 * heartbeat_interval() && far_interval() > rare_min();
    for (auto& [node, state] : peers_) {
        const bool was_far = state.is_far;
        const bool was_near = state.is_near;
        state.is_near = near.contains(node);
        state.is_far = is_worth_it && !near.empty() && members.contains(node) && !state.is_near;
        const bool is_same_rate = !state.is_near || near_interval() == interval_before;
        if (was_far == state.is_far && was_near == state.is_near && is_same_rate) continue;
        tell_rate_anew(state, now);
    }
    next_tick_ = now;
}

void FailureDetector::tell_rate_anew(PeerState& peer, Instant now) {
    peer.told_beats = 0;
    for (Path& path : peer.paths)
        path.beat_due = std::min(path.beat_due, now + beat_interval());
}

bool FailureDetector::takes_turns(const PeerState& peer, const Path& path) const {
    return are_turns_taken() && peer.is_near && knows_our_rate(peer) && path.health.up &&
           !path.doubted_until;
}

void FailureDetector::keep_step(base::NodeId from, Instant beat_due, Instant now) {
    if (!are_turns_taken()) {
        if (nodes_.size() < kNodesInStep && beat_due - now <= beat_interval() / 2) hurry(now);
        return;
    }
    next_tick_ = now;  // When it will be missed is computed anew, else we would wake for nothing.
    if (from != turns_->first) return;
    const Duration interval = near_interval();
    turns_->next_at = now + interval * turns_->place / turns_->members;
    if (turns_->next_at > turns_->told_at + interval + interval / kTurnSlackPart) return;
    for (auto& [node, state] : peers_) {
        for (Path& path : state.paths) {
            // What is due now is an answer.
            if (takes_turns(state, path) && path.beat_due > now) path.beat_due = turns_->next_at;
        }
    }
}

bool FailureDetector::turn_has_come(Instant now) const {
    return std::ranges::any_of(peers_, [&](const auto& peer) {
        return std::ranges::any_of(peer.second.paths, [&](const Path& path) {
            return takes_turns(peer.second, path) && path.beat_due <= now;
        });
    });
}

void FailureDetector::tick(Instant now, std::vector<Beat>& beats) {
    if (now < next_tick_) return;
    if (former_ && now >= former_->until) former_.reset();
    next_tick_ = now + std::max(beat_interval(), near_interval());
    const auto tick_by = [this](Instant at) { next_tick_ = std::min(next_tick_, at); };
    if (former_) tick_by(former_->until);
    look_at_lifelines(now);
    ++generation_;  // Who was shunned until now is heard again.
    const bool all_are_told = hurry_due_ && *hurry_due_ <= now;
    if (all_are_told) {
        told_all(now);
    } else if (hurry_due_) {
        tick_by(*hurry_due_);
    }
    // All in one go, also to whom something was said since.
    const bool is_our_turn = turn_has_come(now);
    if (turns_ && (is_our_turn || all_are_told)) turns_->told_at = now;
    const Instant with_turn = now + near_interval() / 2;
    for (auto& [node, state] : peers_) {
        if (state.shunned_until > now) tick_by(state.shunned_until);
        const bool probe = state.probing && state.probe_due <= now;
        if (probe) {
            state.probe_due = now + kProbeInterval;
            if (++state.probes == kProbesMax) state.probing = false;
        }
        if (state.probing) tick_by(state.probe_due);
        // Among many, who is known not to be there is told nothing in a hurry.
        const bool is_told = all_are_told && !(state.refuses && are_many());
        for (Path& path : state.paths) {
            if (path.health.up) look_at_silence(path, now);
            const bool is_due = path.beat_due <= now || (is_our_turn && takes_turns(state, path) &&
                                                         path.beat_due <= with_turn);
            if (!probe && !is_told && !is_due) {
                tick_by(path.beat_due);
                continue;
            }
            beats.push_back(beat_to(node, state, path, probe, now));
            tick_by(path.beat_due);
        }
        choose_best(state);
    }
}

void FailureDetector::look_at_silence(Path& path, Instant now) {
    if (now > borne_until(path)) {
        path.health.up = false;
        path.beats_since_down = 0;
        path.doubted_until.reset();
        return;
    }
    if (is_asked(path) && !path.doubted_until) {
        if (now < missed_at(path)) {
            next_tick_ = std::min(next_tick_, missed_at(path));
            return;
        }
        doubt(path, now, is_rare(path) ? silence_min() : borne_until(path) - now, now);
    }
    next_tick_ = std::min(next_tick_, borne_until(path) + Duration{1});
}

FailureDetector::Beat FailureDetector::beat_to(base::NodeId node, PeerState& peer, Path& path,
                                               bool probe, Instant now) {
    Beat beat{.peer = node,
              .link = path.health.link,
              .reply_wanted = probe || path.reply_due || path.doubted_until.has_value(),
              .echo_ns = path.peer_sent_ns};
    if (beat.echo_ns != 0)
        beat.echo_age_ns = static_cast<std::uint64_t>((now - path.peer_sent_at).count());
    path.reply_due = false;
    path.beat_due = now + interval_to(peer, path);
    if (takes_turns(peer, path) && turns_->next_at > now)
        path.beat_due = std::min(path.beat_due, turns_->next_at);
    if (peer.is_near) beat.promise = promise_of(near_interval());
    if (peer.is_far) beat.promise = promise_of(far_interval());
    if (beat.promise != 0) ++peer.told_beats;
    return beat;
}

}  // namespace totem
