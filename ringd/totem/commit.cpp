// Commit: the commit token goes round twice. On the first rotation each member adds what it brings
// along, once the ring id is durable; the second tells all to all.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/totem/ring_id_reserve.hpp"
#include "ringd/totem/states.hpp"

namespace totem {
namespace {

CommitEntry own_entry(const Core& core) {
    CommitEntry entry{.old_ring = {},
                      .holdings = {},
                      .safe_line = {},
                      .packet_bytes_max = static_cast<std::uint32_t>(core.config.packet_bytes_max),
                      .features = core.config.features,
                      .obliged_to = {}};
    if (core.installed) {
        entry.old_ring = core.installed->ring;
        entry.holdings = core.installed->store.holdings();
        entry.safe_line = std::min(core.installed->safe_line, entry.holdings.aru);
        entry.obliged_to = core.installed->obliged_to;
    }
    return entry;
}

void pass_on(Context& context, Commit& commit, CommitToken token) {
    const Core& core = context.core;
    commit.sent = {.to = token.members.after(core.self),
                   .packet = encode_commit_token(token),
                   .token_seq = TokenSeq{token.hop},
                   .again_at = core.now + core.config.token_retransmit};
    context.send_to(commit.sent.to, commit.sent.packet);
}

}  // namespace

State enter_commit(Context& context, CommitToken token) {
    Core& core = context.core;
    INVARIANT(token.ring.seq > core.ring_seq_max);
    INVARIANT(token.members.contains(core.self));
    core.ring_seq_max = token.ring.seq;
    context.trace(TraceEntry::What::EnteredCommit, token.ring, token.members.size());
    reserve_ring_ids(context);
    Commit commit;
    commit.token = std::move(token);
    commit.lost_at = core.now + core.config.token_timeout;
    if (Next next = on_stored(context, commit)) return std::move(*next);
    return commit;
}

Next rows_changed(Context& context, Commit& commit) {
    const bool all_here = std::ranges::all_of(commit.token.members, [&](base::NodeId node) {
        return node == context.core.self || context.core.detector.hears(node, context.core.now);
    });
    if (all_here) return std::nullopt;
    return enter_gather(context, GatherReason::PartitionChanged);
}

Next join_arrived(Context& context, Commit& commit, base::NodeId from, const JoinMessage& join) {
    if (!join.gathering || !commit.token.members.contains(from)) return std::nullopt;
    // A member that agreed to this ring and gathers has given it up. One that has not agreed yet
    // just has not got the commit token; but if it has come to propose another ring, it will not
    // take it. Those before us have taken it, whatever late joins of theirs say.
    const bool gave_up = join.ring_seq_max >= commit.token.ring.seq;
    const bool will_not_take_it = from > context.core.self && join.proposal != commit.token.members;
    if (!gave_up && !will_not_take_it) return std::nullopt;
    return enter_gather(context, GatherReason::MemberGathers);
}

Next on_stored(Context& context, Commit& commit) {
    if (commit.passed || !is_durable(context.core, commit.token.ring.seq)) return std::nullopt;
    commit.passed = true;
    commit.own = own_entry(context.core);
    CommitToken token = commit.token;
    token.entries.push_back(commit.own);
    if (token.members.size() == 1) {
        token.hop = 1;
        return enter_recovery(context, token);
    }
    // The representative's own entry goes out with hop 1; each further one adds a hop.
    token.hop = static_cast<std::uint32_t>(token.entries.size());
    pass_on(context, commit, std::move(token));
    return std::nullopt;
}

Next on(Context& context, Commit& commit, base::NodeId from, const CommitToken& token) {
    const Core& core = context.core;
    const std::size_t members = commit.token.members.size();
    const auto own_index = static_cast<std::size_t>(
        std::lower_bound(commit.token.members.begin(), commit.token.members.end(), core.self) -
        commit.token.members.begin());
    const bool second_rotation =
        token.ring == commit.token.ring && token.members == commit.token.members && commit.passed &&
        token.hop == members + own_index && token.members.after(from) == core.self &&
        token.entries[own_index] == commit.own;
    if (!second_rotation) {
        context.drop(token.ring == commit.token.ring ? DropCause::Duplicate
                                                     : DropCause::WrongState);
        return std::nullopt;
    }
    return enter_recovery(context, token);
}

Next on_time(Context& context, Commit& commit) {
    const Core& core = context.core;
    if (core.now >= commit.lost_at) return enter_gather(context, GatherReason::CommitLost);
    if (commit.sent.again_at && core.now >= *commit.sent.again_at) {
        context.send_to(commit.sent.to, commit.sent.packet);
        commit.sent.again_at = core.now + core.config.token_retransmit;
    }
    return std::nullopt;
}

std::optional<Instant> deadline(const Commit& commit) {
    return commit.sent.again_at ? std::min(commit.lost_at, *commit.sent.again_at) : commit.lost_at;
}

}  // namespace totem
