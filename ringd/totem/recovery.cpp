// Recovery: the members that come from one old ring bring each other to the same messages of it,
// then all install the new ring.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/totem/states.hpp"

namespace totem {
namespace {

Configuration configuration_of(const Core& core, const CommitToken& token) {
    Configuration next;
    next.ring = token.ring;
    next.members = token.members;
    next.delivery = Delivery(token.ring);
    next.packet_bytes = core.config.packet_bytes_max;
    next.features = core.config.features;
    for (const CommitEntry& entry : token.entries) {
        next.packet_bytes = std::min<std::size_t>(next.packet_bytes, entry.packet_bytes_max);
        next.features &= entry.features;
    }
    for (const base::NodeId node : token.members) {
        const Row* row = core.connectivity.row_of(node);
        if (row != nullptr) next.incarnations[node] = row->incarnation;
    }
    return next;
}

std::uint64_t count_missing(const Core& core, const RecoveryPlan& plan) {
    if (!core.installed) return 0;
    std::uint64_t missing = 0;
    const MessageStore& store = core.installed->store;
    for (Seq seq = next(store.aru()); seq <= plan.together.high; seq = next(seq)) {
        if (plan.together.has(seq) && !store.has(seq)) ++missing;
    }
    return missing;
}

void resend_old(Context& context, Seq seq) {
    Core& core = context.core;
    const MessageStore::Message* message = core.installed->store.find(seq);
    if (message == nullptr) return;  // Released: stable, so that nobody lacks it.
    ++core.stats.messages_resent;
    context.send_to_all(SendToAll::Audience::Members, message->packet);
}

// What the plan has us send, within the bytes of a visit.
void send_planned(Context& context, Recovery& recovery, std::size_t budget) {
    while (recovery.sent_count < recovery.plan.to_send.size() && budget > 0) {
        resend_old(context, recovery.plan.to_send[recovery.sent_count]);
        ++recovery.sent_count;
        budget -= std::min(budget, context.core.config.packet_bytes_max);
    }
}

void serve(Context& context, RecoveryToken& token) {
    const Core& core = context.core;
    if (!core.installed) return;
    std::size_t budget = core.config.visit_bytes / core.config.packet_bytes_max + 1;
    std::erase_if(token.requests, [&](const RecoveryRequest& request) {
        if (request.old_ring != core.installed->ring) return false;
        if (request.range.count() > budget) return false;
        for (Seq seq = request.range.first; seq <= request.range.last; seq = next(seq)) {
            if (!core.installed->store.has(seq)) return false;
        }
        budget -= request.range.count();
        for (Seq seq = request.range.first; seq <= request.range.last; seq = next(seq)) {
            resend_old(context, seq);
        }
        return true;
    });
}

void ask(Context& context, const Recovery& recovery, RecoveryToken& token) {
    const Core& core = context.core;
    if (!core.installed) return;
    const MessageStore& store = core.installed->store;
    constexpr std::uint64_t kSeqsPerRequest = 64;  // Small enough for one visit to serve.
    for (Seq seq = next(store.aru());
         seq <= recovery.plan.together.high && token.requests.size() < kRecoveryRequestsMax;
         seq = next(seq)) {
        const auto lacks = [&](Seq s) { return recovery.plan.together.has(s) && !store.has(s); };
        if (!lacks(seq)) continue;
        RecoveryRequest request{.old_ring = core.installed->ring,
                                .range = {.first = seq, .last = seq}};
        while (request.range.count() < kSeqsPerRequest && lacks(next(request.range.last)) &&
               request.range.last < recovery.plan.together.high) {
            request.range.last = next(request.range.last);
        }
        seq = request.range.last;
        if (std::ranges::find(token.requests, request) == token.requests.end()) {
            token.requests.push_back(request);
        }
    }
    std::ranges::sort(token.requests);
}

void pass_on(Context& context, Recovery& recovery, const RecoveryToken& token) {
    const Core& core = context.core;
    recovery.sent = {.to = recovery.next.members.after(core.self),
                     .packet = encode_recovery_token(token),
                     .token_seq = token.token_seq,
                     .again_at = core.now + core.config.token_retransmit};
    recovery.lost_at = core.now + core.config.token_timeout;
    context.send_to(recovery.sent.to, recovery.sent.packet);
}

Next visit_recovery(Context& context, Recovery& recovery, RecoveryToken token) {
    Core& core = context.core;
    recovery.token_seq = token.token_seq;
    serve(context, token);
    send_planned(context, recovery, core.config.visit_bytes);

    const bool complete =
        recovery.missing == 0 && recovery.sent_count == recovery.plan.to_send.size();
    // A message that is under way is not asked for: only when a whole rotation brought nothing.
    if (recovery.missing > 0 && recovery.missing == recovery.missing_before) {
        ask(context, recovery, token);
    }
    recovery.missing_before = recovery.missing;
    token.complete_hops = complete ? token.complete_hops + 1 : 0;
    // From here on another member may deliver and die before we do.
    if (complete && core.installed) {
        for (const base::NodeId node : recovery.plan.delivered_with)
            core.installed->obliged_to.insert(node);
    }

    const std::size_t members = recovery.next.members.size();
    if (token.complete_hops >= members) {
        const base::RingId ring = recovery.next.ring;
        Operational state = install(context, std::move(recovery.next), recovery.plan);
        state.token_seq = token.token_seq;
        visit(context, state, {.ring = ring, .token_seq = token.token_seq, .requests = {}});
        return state;
    }
    token.token_seq = next(token.token_seq);
    pass_on(context, recovery, token);
    return std::nullopt;
}

}  // namespace

State enter_recovery(Context& context, const CommitToken& token) {
    Core& core = context.core;
    Recovery recovery;
    recovery.next = configuration_of(core, token);
    recovery.plan = plan_recovery(token, core.self);
    recovery.missing = count_missing(core, recovery.plan);
    recovery.missing_before = recovery.missing + 1;  // No request at the first visit.
    recovery.lost_at = core.now + core.config.token_timeout;
    context.trace(TraceEntry::What::EnteredRecovery, token.ring, recovery.missing,
                  recovery.plan.to_send.size());
    context.actions.emplace_back(SetAudience{.members = token.members.without(core.self).nodes()});

    if (token.members.size() == 1) {
        Operational state = install(context, std::move(recovery.next), recovery.plan);
        visit(context, state, {.ring = token.ring, .token_seq = TokenSeq{1}, .requests = {}});
        return state;
    }
    CommitToken onward = token;
    ++onward.hop;
    recovery.sent = {.to = token.members.after(core.self),
                     .packet = encode_commit_token(onward),
                     .token_seq = {},
                     .again_at = core.now + core.config.token_retransmit};
    context.send_to(recovery.sent.to, recovery.sent.packet);
    return recovery;
}

Next rows_changed(Context& context, Recovery& recovery) {
    const Core& core = context.core;
    const bool all_here = std::ranges::all_of(recovery.next.members, [&](base::NodeId node) {
        if (node == core.self) return true;
        const Row* row = core.connectivity.row_of(node);
        const auto then = recovery.next.incarnations.find(node);
        return core.detector.hears(node, core.now) && row != nullptr &&
               (then == recovery.next.incarnations.end() || then->second == row->incarnation);
    });
    if (all_here) return std::nullopt;
    return enter_gather(context, GatherReason::PartitionChanged);
}

Next join_arrived(Context& context, Recovery& recovery, base::NodeId from,
                  const JoinMessage& join) {
    const bool gave_up = join.gathering && recovery.next.members.contains(from) &&
                         join.ring_seq_max >= recovery.next.ring.seq;
    if (!gave_up) return std::nullopt;
    return enter_gather(context, GatherReason::MemberGathers);
}

Next on(Context& context, Recovery& recovery, base::NodeId from, const CommitToken& token) {
    const Core& core = context.core;
    // The commit token is back from its second rotation: the representative turns it into the
    // token of recovery.
    const bool back = token.ring == recovery.next.ring &&
                      core.self == recovery.next.members.front() &&
                      token.hop == 2 * recovery.next.members.size() &&
                      recovery.next.members.after(from) == core.self;
    if (!back || recovery.token_seq != TokenSeq{}) {
        context.drop(back ? DropCause::Duplicate : DropCause::WrongState);
        return std::nullopt;
    }
    return visit_recovery(context, recovery,
                          {.ring = token.ring, .token_seq = TokenSeq{1}, .requests = {}});
}

Next on(Context& context, Recovery& recovery, base::NodeId, const RecoveryToken& token) {
    if (token.ring != recovery.next.ring) {
        context.drop(DropCause::OtherRing);
    } else if (token.token_seq <= recovery.token_seq) {
        context.drop(DropCause::Duplicate);
    } else {
        recovery.waiting = token;
        recovery.sent.again_at.reset();
    }
    return std::nullopt;
}

Next on(Context& context, Recovery& recovery, base::NodeId, const Token& token) {
    // Somebody saw all members complete, which is why there is a regular token.
    if (token.ring != recovery.next.ring || token.token_seq <= recovery.token_seq) {
        context.drop(DropCause::OtherRing);
        return std::nullopt;
    }
    if (recovery.missing > 0) {
        context.drop(DropCause::WrongState);  // Then it was wrong about us.
        return std::nullopt;
    }
    recovery.regular = token;
    recovery.sent.again_at.reset();
    return std::nullopt;
}

Next on(Context& context, Recovery& recovery, base::NodeId, const TokenSeen& seen) {
    if (seen.ring != recovery.next.ring || seen.token_seq < recovery.sent.token_seq) {
        context.drop(DropCause::OtherRing);
    } else {
        recovery.sent.again_at.reset();
    }
    return std::nullopt;
}

Next on_data(Context& context, Recovery& recovery, DataPacket data) {
    Core& core = context.core;
    if (data.ring == recovery.next.ring) {
        if (!recovery.next.store.insert(data.seq, data.sender, std::move(data.packet))) {
            context.drop(DropCause::Duplicate);
        }
        return std::nullopt;
    }
    // Only what the plan counts: all members of the transitional configuration deliver the same.
    if (!core.installed || data.ring != core.installed->ring ||
        !recovery.plan.together.has(data.seq)) {
        context.drop(DropCause::OtherRing);
        return std::nullopt;
    }
    if (core.installed->store.insert(data.seq, data.sender, std::move(data.packet))) {
        INVARIANT(recovery.missing > 0);
        --recovery.missing;
        ++core.stats.messages_recovered;
    } else {
        context.drop(DropCause::Duplicate);
    }
    return std::nullopt;
}

Next on_drained(Context& context, Recovery& recovery) {
    if (recovery.regular) {
        const Token token = *recovery.regular;
        Operational state = install(context, std::move(recovery.next), recovery.plan);
        visit(context, state, token);
        return state;
    }
    if (!recovery.waiting) return std::nullopt;
    const RecoveryToken token = *recovery.waiting;
    recovery.waiting.reset();
    return visit_recovery(context, recovery, token);
}

Next on_time(Context& context, Recovery& recovery) {
    Core& core = context.core;
    if (core.now >= recovery.lost_at) return enter_gather(context, GatherReason::RecoveryLost);
    if (recovery.sent.again_at && core.now >= *recovery.sent.again_at) {
        ++core.stats.tokens_retransmitted;
        context.send_to(recovery.sent.to, recovery.sent.packet);
        recovery.sent.again_at = core.now + core.config.token_retransmit;
    }
    return std::nullopt;
}

std::optional<Instant> deadline(const Recovery& recovery) {
    return recovery.sent.again_at ? std::min(recovery.lost_at, *recovery.sent.again_at)
                                  : recovery.lost_at;
}

}  // namespace totem
