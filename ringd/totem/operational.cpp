// Operational: the ring orders messages. What the token does here is in token_visit.cpp.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/totem/states.hpp"
#include "ringd/totem/watch.hpp"

namespace totem {
namespace {

// How many times the interval may pass when there is nobody outside whom the presence is told:
// that somebody is heard again comes as a change of rows.
constexpr int kQuietIntervals = 10;

// Nodes that keep coming are waited for so many times.
constexpr int kSettlingTimes = 4;

void ask_for_token(Context& context, Operational& state) {
    Core& core = context.core;
    ++core.stats.token_requests_sent;
    context.send_to(state.last_sender, encode_token_request({.ring = core.installed->ring,
                                                             .token_seq = state.token_seq}));
    state.request_at = core.now + core.config.token_retransmit;
}

// A token that may be parked somewhere must be asked for; one that rotates comes by itself.
void ask_if_parked(Context& context, Operational& state) {
    const bool may_be_parked =
        (!state.lost_at || state.may_rest) && !state.waiting && !state.parked;
    if (!may_be_parked || state.request_at) return;
    state.request_gives_up = context.core.now + context.core.config.token_timeout;
    ask_for_token(context, state);
}

// Progress since the token was sent: it arrived, or somebody after us had it.
void token_made_progress(Context& context, Operational& state) {
    const Core& core = context.core;
    state.sent.again_at.reset();
    if (!state.idle_when_sent) {
        if (!state.parked) state.lost_at = core.now + core.config.token_timeout;
        return;
    }
    state.lost_at.reset();
    // What was submitted after the token had left relied on its coming round once more.
    if (!core.queue.empty()) ask_if_parked(context, state);
}

bool member_restarted(const Core& core) {
    return std::ranges::any_of(core.installed->incarnations, [&](const auto& member) {
        const Row* row = core.connectivity.row_of(member.first);
        return row != nullptr && row->incarnation != member.second;
    });
}

bool all_members_heard(const Core& core) {
    return std::ranges::all_of(core.installed->members, [&](base::NodeId node) {
        return node == core.self || core.detector.hears(node, core.now);
    });
}

// When a larger ring that is possible now is to be formed: when no further node came for a while,
// but some time after the last ring at the latest.
Instant merge_at(const Core& core, Operational& state, std::size_t size) {
    if (size != state.proposed_size) {
        if (state.proposed_size == 0) state.waits_since = core.now;
        state.proposed_size = size;
        state.grew_at = core.now;
    }
    const Duration settling = core.detector.settling();
    const Instant begin =
        std::max(state.installed_at + core.config.merge_interval, state.waits_since);
    return std::clamp(state.grew_at + settling, begin, begin + kSettlingTimes * settling);
}

Next check_partition(Context& context, Operational& state) {
    const Core& core = context.core;
    state.check_at.reset();
    const Configuration& ring = *core.installed;
    const NodeSet proposal = core.connectivity.proposal();
    if (proposal == ring.members) return std::nullopt;
    // Among many a ring that still can be is not left in haste: one that seems larger may lack only
    // whose word of the newcomers has not come yet.
    const bool can_stay =
        core.detector.are_many() && core.connectivity.hear_each_other(ring.members);
    if (can_stay || proposal.includes(ring.members)) {
        // Nodes that start together are taken in together.
        const Instant merge_from = merge_at(core, state, proposal.size());
        if (core.now < merge_from) {
            state.check_at = merge_from;
            return std::nullopt;
        }
    }
    return enter_gather(context, GatherReason::PartitionChanged);
}

// To a node outside the ring, not too often. If it hears the representative as well, that tells it
// the same: then the others do so rarely.
void tell_rows(Context& context, base::NodeId node) {
    Core& core = context.core;
    const Configuration& ring = *core.installed;
    const base::NodeId representative = ring.members.front();
    const Row* row = core.connectivity.row_of(node);
    const bool is_told =
        representative != core.self && row != nullptr && row->hears.contains(representative);
    const auto times = is_told ? 1 + ring.members.size() : 1 + core.detector.peers().size() / 16;
    const Duration interval = core.config.merge_interval * static_cast<std::int64_t>(times) * 3 / 4;
    Instant& told_at = core.told_rows[node];
    if (core.detector.are_many() && core.now - told_at < interval) return;
    told_at = core.now;
    context.send_to(node, encode_join({.gathering = false,
                                       .ring = ring.ring,
                                       .ring_seq_max = core.ring_seq_max,
                                       .proposal = ring.members,
                                       .rows = core.connectivity.rows_to_relay()}));
}

void watch_members(Context& context) {
    Core& core = context.core;
    const Configuration& ring = *core.installed;
    const bool can_be_rare = (ring.features & kFeatureRareHeartbeats) != 0;
    core.detector.watch(core.self, ring.members,
                        can_be_rare ? near_members(ring.members, core.self) : NodeSet{}, core.now);
    const NodeSet lifelines = lifeline_members(ring.members, core.self);
    core.detector.keep_lifelines(lifelines, core.now);
    context.actions.emplace_back(KeepLifelines{.peers = lifelines.nodes()});
}

}  // namespace

Operational install(Context& context, Configuration next_ring, const RecoveryPlan& plan) {
    Core& core = context.core;
    const base::RingId previous = core.installed ? core.installed->ring : base::RingId{};
    if (core.installed) {
        Configuration& old = *core.installed;
        old.delivery.deliver(old.store, plan.safe_line, context.deliveries());
        context.actions.emplace_back(
            InstallConfiguration{.kind = InstallConfiguration::Kind::Transitional,
                                 .ring = next_ring.ring,
                                 .previous = previous,
                                 .members = plan.transitional.nodes()});
        old.delivery.deliver_transitional(old.store, plan.together.high, plan.delivered_with,
                                          context.deliveries());
    }
    core.queue.restart_item();
    context.actions.emplace_back(InstallConfiguration{.kind = InstallConfiguration::Kind::Regular,
                                                      .ring = next_ring.ring,
                                                      .previous = previous,
                                                      .members = next_ring.members.nodes()});
    ++core.stats.rings_formed;
    core.stats.operational_since = core.now;
    core.failed_attempts = 0;
    context.trace(TraceEntry::What::Installed, next_ring.ring, next_ring.members.size());
    core.installed = std::move(next_ring);
    if (core.detector.are_many()) core.connectivity.agreed(core.installed->members);
    watch_members(context);

    Operational state;
    state.installed_at = core.now;
    state.presence_at = core.now + core.config.merge_interval;
    state.check_at = core.now;  // What was learnt while this ring was formed.
    state.lost_at = core.now + core.config.token_timeout;
    return state;
}

Next rows_changed(Context& context, Operational& state) {
    const Core& core = context.core;
    state.presence_at = std::min(state.presence_at, core.now + core.config.merge_interval);
    if (member_restarted(core)) return enter_gather(context, GatherReason::MemberRestarted);
    if (!all_members_heard(core)) return enter_gather(context, GatherReason::PartitionChanged);
    return check_partition(context, state);
}

Next join_arrived(Context& context, Operational& state, base::NodeId from,
                  const JoinMessage& join) {
    const Core& core = context.core;
    const Configuration& ring = *core.installed;
    if (!join.gathering) return std::nullopt;
    if (ring.members.contains(from)) {
        // It left this ring, or agreed to it and gave up before it was installed there. A join
        // from before knows neither.
        const bool left = join.ring == ring.ring || join.ring_seq_max >= ring.ring.seq;
        if (left) return enter_gather(context, GatherReason::MemberGathers);
        return std::nullopt;
    }
    // An outsider who sees another partition than we do: either we learn what it knows, which has
    // just been done, or it learns what we know.
    if (Next next = check_partition(context, state)) return next;
    tell_rows(context, from);
    return std::nullopt;
}

Next on(Context& context, Operational& state, base::NodeId from, const RecoveryToken& token) {
    // Its sender has not seen yet that all are complete; ours went on as a regular token.
    if (token.ring == context.core.installed->ring) {
        context.send_to(from,
                        encode_token_seen({.ring = token.ring, .token_seq = state.token_seq}));
    }
    context.drop(DropCause::Duplicate);
    return std::nullopt;
}

Next on(Context& context, Operational& state, base::NodeId from, const Token& token) {
    const Configuration& ring = *context.core.installed;
    if (token.ring != ring.ring) {
        context.drop(DropCause::OtherRing);
        return std::nullopt;
    }
    const bool is_new = token.token_seq > state.token_seq &&
                        (!state.waiting || token.token_seq > state.waiting->token_seq);
    if (!is_new) {
        // Who sent it has seen no progress: an idle token makes no noise, so it is told.
        context.drop(DropCause::Duplicate);
        context.send_to(from, encode_token_seen({.ring = ring.ring, .token_seq = state.token_seq}));
        return std::nullopt;
    }
    state.waiting = token;
    state.sent.again_at.reset();
    return std::nullopt;
}

Next on(Context& context, Operational& state, base::NodeId from, const TokenRequest& request) {
    Core& core = context.core;
    const Configuration& ring = *core.installed;
    if (request.ring != ring.ring || !ring.members.contains(from)) {
        context.drop(DropCause::OtherRing);
        return std::nullopt;
    }
    if (!state.parked) {
        // It is on its way to where it parks, or to who asks: if here, it goes on at once.
        state.wanted_by = from;
        return std::nullopt;
    }
    // Straight to who asks: all is stable, so no member has anything to say that a visit before
    // would have to collect.
    Token token = state.take_parked();
    token.idle_hops = 0;
    token.token_seq = next(token.token_seq);
    send_token(context, state, from, token);
    return std::nullopt;
}

Next on(Context& context, Operational& state, base::NodeId, const TokenSeen& seen) {
    if (seen.ring == context.core.installed->ring && seen.token_seq >= state.sent.token_seq) {
        token_made_progress(context, state);
    } else {
        context.drop(DropCause::OtherRing);
    }
    return std::nullopt;
}

Next on_data(Context& context, Operational& state, DataPacket data) {
    Core& core = context.core;
    Configuration& ring = *core.installed;
    if (data.ring != ring.ring || !ring.members.contains(data.sender)) {
        context.drop(DropCause::OtherRing);
        return std::nullopt;
    }
    if (data.visit >= state.sent.token_seq && data.visit > state.token_seq) {
        state.idle_when_sent = false;
        state.may_rest = false;
        state.request_at.reset();  // The token is on its way round.
        token_made_progress(context, state);
    }
    if (!ring.store.insert(data.seq, data.sender, std::move(data.packet))) {
        context.drop(DropCause::Duplicate);
        return std::nullopt;
    }
    ring.delivery.deliver(ring.store, ring.safe_line, context.deliveries());
    return std::nullopt;
}

Next on_submitted(Context& context, Operational& state) {
    if (state.parked) {
        Token token = state.take_parked();
        token.idle_hops = 0;
        visit(context, state, std::move(token));
        return std::nullopt;
    }
    ask_if_parked(context, state);
    return std::nullopt;
}

Next on_drained(Context& context, Operational& state) {
    if (!state.waiting) return std::nullopt;
    Token token = std::move(*state.waiting);
    state.waiting.reset();
    visit(context, state, std::move(token));
    return std::nullopt;
}

Next on_time(Context& context, Operational& state) {
    Core& core = context.core;
    if (state.lost_at && core.now >= *state.lost_at) {
        return enter_gather(context, GatherReason::TokenLost);
    }
    if (state.check_at && core.now >= *state.check_at) {
        if (Next next = check_partition(context, state)) return next;
    }
    if (state.pass_on_at && core.now >= *state.pass_on_at) {
        Token token = state.take_parked();
        token.token_seq = next(token.token_seq);
        send_token(context, state, core.installed->members.after(core.self), token);
    }
    if (state.sent.again_at && core.now >= *state.sent.again_at) {
        ++core.stats.tokens_retransmitted;
        context.trace(TraceEntry::What::TokenRetransmitted, core.installed->ring,
                      state.sent.token_seq.value());
        context.send_to(state.sent.to, state.sent.packet);
        state.sent.again_at = core.now + core.config.token_retransmit;
    }
    if (state.request_at && core.now >= *state.request_at) {
        if (core.now >= state.request_gives_up) {
            return enter_gather(context, GatherReason::TokenNotReturned);
        }
        ask_for_token(context, state);
    }
    if (core.now >= state.presence_at) {
        state.presence_at = core.now + kQuietIntervals * core.config.merge_interval;
        for (const base::NodeId node : core.connectivity.own().hears) {
            if (core.installed->members.contains(node)) continue;
            state.presence_at = core.now + core.config.merge_interval;
            tell_rows(context, node);
        }
    }
    return std::nullopt;
}

std::optional<Instant> deadline(const Operational& state) {
    Instant earliest = state.presence_at;
    for (const auto& at :
         {state.lost_at, state.check_at, state.sent.again_at, state.request_at, state.pass_on_at}) {
        if (at) earliest = std::min(earliest, *at);
    }
    return earliest;
}

}  // namespace totem
