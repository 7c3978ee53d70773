#include "quorumd/core/status.hpp"

#include <algorithm>

#include "quorumd/core/core.hpp"

namespace quorum {

Status Core::status(base::Instant now) const {
    Status status;
    status.self = self_;
    status.is_attached = is_attached_;
    status.is_serving = is_serving_;
    status.is_exchanging = exchange_.has_value();
    status.awaited = awaited();
    if (exchange_ && status.awaited.empty()) status.awaited = awaited_devices();
    status.applied = applied_;
    status.view = view_id();
    for (const protocol::ViewMember& member : view_.members) {
        status.members.push_back(member.node);
    }

    status.is_quorate = is_quorate(now);
    status.holds = holds(now);
    status.waits_for_all = waits_for_all();
    status.standing = standing_;
    status.options = options();
    for (const auto& [node, said] : said_) {
        NodeStatus& one = status.nodes[node];
        one.said = said;
        const bool is_here = std::ranges::find(status.members, node) != status.members.end();
        one.state =
            !is_here ? NodeState::Dead : (said.leaving ? NodeState::Leaving : NodeState::Member);
        one.device_casts =
            is_here && said.device.casts && said.device.alive && said.device.polled == view_.ring;
        if (is_here && !said.options.same_rules(status.options)) status.differing.push_back(node);
    }
    status.device_name = device_name_;
    status.device_is_voting = is_in_view() && device().casts;
    status.lease = config_.lease;
    if (claims_ && proof_ && !config_.is_free) status.lease_until = *proof_ + config_.lease;
    status.grant_at = grant_at_;
    status.lower_at = lower_at_;
    status.counters = counters_;
    status.reason = reason(now);
    return status;
}

Reason Core::reason(base::Instant now) const {
    if (is_quorate(now)) return Reason::None;
    if (!is_serving_) return Reason::NoRing;
    if (holds(now)) return Reason::WaitingForDevice;
    if (claims_) return Reason::LeaseExpired;
    if (grant_at_) return Reason::OthersMayBeQuorate;
    if (waits_for_all()) return Reason::WaitingForAll;
    if (standing_.lowered && standing_.total_votes >= standing_.threshold)
        return Reason::Superseded;
    return Reason::TooFewVotes;
}

}  // namespace quorum
