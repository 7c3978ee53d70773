// What lifelines say of the peers: while there is one with each, heartbeats may be rarer; when one
// ends without a word, its peer is asked at once whether it lives.
#include <algorithm>

#include "ringd/totem/failure_detector.hpp"

namespace totem {

void FailureDetector::lifeline_up(base::NodeId peer, LinkId link, Instant now) {
    const auto found = peers_.find(peer);
    if (found == peers_.end() || path_of(peer, link) == nullptr) return;
    found->second.lifeline = link;
    found->second.has_hung_up = false;  // Somebody listens there.
    look_at_lifelines(now);
}

void FailureDetector::lifeline_down(base::NodeId peer, Instant now) {
    for (auto& [node, state] : peers_) {
        if (peer == base::kNoNode || peer == node) state.lifeline.reset();
    }
    look_at_lifelines(now);
}

// It proves nothing by itself, for who is started again at once, and keeps its port, goes on as the
// same member; and it can be forged. A refusal that came just before counts.
void FailureDetector::hung_up(base::NodeId peer, Instant now) {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return;
    PeerState& state = found->second;
    state.lifeline.reset();
    look_at_lifelines(now);
    if (!state.best) return;
    state.has_hung_up = true;
    if (!state.probing) begin_probing(state, now);
    if (state.unreachable > 0) judge_refusals(state, now);
}

void FailureDetector::keep_lifelines(const NodeSet& peers, Instant now) {
    for (auto& [node, state] : peers_) {
        if (!peers.contains(node)) state.lifeline.reset();
    }
    look_at_lifelines(now);
}

std::optional<LinkId> FailureDetector::lifeline(base::NodeId peer) const {
    const auto found = peers_.find(peer);
    return found == peers_.end() ? std::nullopt : found->second.lifeline;
}

// Over a link that is down nothing would be said.
bool FailureDetector::has_lifeline(const PeerState& peer) {
    return std::ranges::any_of(peer.paths, [&](const Path& path) {
        return path.health.link == peer.lifeline && path.health.up;
    });
}

// Two that have none beat in step.
bool FailureDetector::are_turns_taken() const {
    return turns_ && (turns_->members > 2 || turns_->all_have_lifelines);
}

// Whom we beat is told how often, when that changes.
void FailureDetector::look_at_lifelines(Instant now) {
    if (!turns_) return;
    const bool all_have_them = std::ranges::all_of(
        peers_, [](const auto& peer) { return !peer.second.is_near || has_lifeline(peer.second); });
    if (turns_->all_have_lifelines == all_have_them) return;
    const Duration before = near_interval();
    turns_->all_have_lifelines = all_have_them;
    next_tick_ = now;
    if (near_interval() == before) return;
    for (auto& [node, state] : peers_) {
        if (state.is_near) tell_rate_anew(state, now);
    }
}

}  // namespace totem
