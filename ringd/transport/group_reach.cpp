#include "ringd/transport/group_reach.hpp"

#include <algorithm>
#include <chrono>

namespace transport {
namespace {

// A group that stops to reach somebody costs retransmissions for kMissesMax of these.
constexpr base::Duration kInterval = std::chrono::milliseconds(500);

}  // namespace

void GroupReach::set_peers(const std::vector<base::NodeId>& peers) {
    std::map<base::NodeId, State> next;
    for (const base::NodeId peer : peers) {
        const auto known = peers_.find(peer);
        next.emplace(peer, known == peers_.end() ? State{} : known->second);
    }
    peers_ = std::move(next);
}

void GroupReach::reset() {
    for (auto& [peer, state] : peers_) {
        state = {};
    }
    due_ = {};
}

void GroupReach::begin_round(base::Instant now) {
    due_ = now + kInterval;
    for (auto& [peer, state] : peers_) {
        state.misses = state.has_answered ? 0 : std::min(state.misses + 1, kMissesMax);
        if (state.misses == kMissesMax) state.is_reached = false;
        state.has_answered = false;
    }
}

void GroupReach::answered(base::NodeId peer) {
    const auto at = peers_.find(peer);
    if (at == peers_.end()) return;
    at->second.has_answered = true;
    at->second.is_reached = true;
}

bool GroupReach::reaches(base::NodeId peer) const {
    const auto at = peers_.find(peer);
    return at != peers_.end() && at->second.is_reached;
}

}  // namespace transport
