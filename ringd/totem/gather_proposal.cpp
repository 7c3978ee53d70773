// Gather: what is proposed, and when. Up to 16 nodes each proposes the largest ring that is
// possible as far as it knows. Among many whose nodes keep coming no two would know the same for
// long: there who is to come is waited for, and then the representative's proposal is everybody's.
#include <algorithm>

#include "ringd/totem/gather_parts.hpp"

namespace totem {
namespace {

// Nodes that keep coming are waited for so many times: as a ring does that takes them in, and as
// much again as it needs to do that.
constexpr int kSettlingTimes = 4;
constexpr int kSettlingTimesOfRing = kSettlingTimes + 1;
constexpr int kSettlingTimesMax = 2 * kSettlingTimesOfRing;

// It may lack who has come meanwhile. One that is much smaller is not the ring we belong to, nor
// is there anything in coming together again as we were.
bool is_acceptable(const Core& core, const NodeSet& offer, const NodeSet& possible) {
    return offer.front() <= possible.front() && 2 * offer.size() > possible.size() &&
           hears_all(core, offer) && (!core.installed || offer != core.installed->members);
}

bool hears_everybody(const Core& core) {
    return core.connectivity.own().hears.size() > core.detector.peers().size();
}

// When a larger ring is to be proposed: when nobody came for a while, and at once when nobody is
// left who could.
Instant larger_at(const Core& core, const Gather& gather) {
    if (gather.possible.size() > core.detector.peers().size()) return core.now;
    const Duration settling = core.detector.settling();
    return std::min(gather.grew_at + settling, gather.proposed_at + kSettlingTimes * settling);
}

void propose(Context& context, Gather& gather, const NodeSet& proposal) {
    if (proposal == gather.proposal) return;
    gather.proposal = proposal;
    gather.proposed_at = context.core.now;
    gather.is_offered = false;
    say_proposal(context, gather);
}

void update_among_many(Context& context, Gather& gather) {
    const Core& core = context.core;
    const base::NodeId lowest = core.connectivity.own().hears.front();
    if (!gather.is_row_told && hears_everybody(core) && lowest != core.self) {
        gather.is_row_told = true;
        tell_row(context, gather, lowest);
    }
    if (gather.offer && is_acceptable(core, *gather.offer, gather.possible)) {
        propose(context, gather, *gather.offer);
        return;
    }
    const bool is_larger =
        gather.possible != gather.proposal && gather.possible.includes(gather.proposal);
    if (is_larger && core.now < larger_at(core, gather)) {
        gather.update_at = larger_at(core, gather);
        return;
    }
    propose(context, gather, gather.possible);
}

}  // namespace

void update_proposal(Context& context, Gather& gather) {
    const Core& core = context.core;
    const Instant at = gather.looked_at + core.detector.pace();
    if (core.now < at) {
        gather.update_at = at;
        return;
    }
    gather.update_at.reset();
    gather.looked_at = core.now;
    NodeSet possible = gather.alone ? NodeSet{core.self} : core.connectivity.proposal();
    if (!gather.possible.includes(possible)) gather.grew_at = core.now;
    gather.possible = std::move(possible);
    if (core.detector.are_many() && !gather.alone) {
        update_among_many(context, gather);
    } else {
        propose(context, gather, gather.possible);
    }
}

void hear_representative(const Core& core, Gather& gather, base::NodeId from,
                         const JoinMessage& join) {
    if (!core.detector.are_many() || gather.alone || from > gather.possible.front()) return;
    if (join.proposal.contains(core.self)) {
        if (!join.gathering || join.proposal.front() != from) return;
        gather.offer = join.proposal;
        gather.looked_at = Instant{};  // It waits for our answer.
        return;
    }
    if (gather.offer && gather.offer->front() == from) gather.offer.reset();
    // Of a ring without us, which takes us in when nobody else has come for a while.
    if (join.proposal.size() == 1) return;
    const Duration settling = core.detector.settling();
    const Instant until = std::min(core.now + kSettlingTimesOfRing * settling,
                                   gather.entered_at + kSettlingTimesMax * settling);
    gather.patient_until = std::max(gather.patient_until, until);
}

bool is_settled(const Gather& gather) {
    return gather.is_offered || gather.proposal == gather.possible;
}

}  // namespace totem
