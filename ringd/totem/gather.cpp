// Gather: all who hear each other tell whom they hear, compute the same partition, and the
// representative of each part forms its ring.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/totem/states.hpp"

namespace totem {
namespace {

// Rounds of consensus_timeout. After the first nobody waits for who might still turn up; after
// this many who does not agree is left out.
constexpr std::uint32_t kRoundsToShun = 3;
constexpr std::uint32_t kRoundsMax = 5;

// Gathers that did not lead to a configuration, in a row; then the next is a ring of one. With the
// rounds this bounds the time without a configuration.
constexpr std::uint32_t kAttemptsMax = 4;

// Who was left out is tried again after this many rounds: whatever it was at then has come to an
// end, since no gather has more than half as many.
constexpr std::int64_t kShunRounds = 2 * std::int64_t{kRoundsMax};

bool all_agree(const Core& core, const Gather& gather) {
    return std::ranges::all_of(gather.proposal, [&](base::NodeId node) {
        if (node == core.self) return true;
        const auto said = gather.said.find(node);
        if (said == gather.said.end() || said->second.proposal != gather.proposal) return false;
        // Who has not repeated it may have formed another ring meanwhile.
        if (core.now - said->second.at > core.config.consensus_timeout) return false;
        const Row* row = core.connectivity.row_of(node);
        return row != nullptr && row->incarnation == said->second.incarnation;
    });
}

// May somebody come along who is not in the proposal yet? A node that is not heard at all is not
// waited for, except after a start, when nobody was yet.
bool somebody_may_join(const Core& core, const Gather& gather) {
    return std::ranges::any_of(core.detector.peers(), [&](base::NodeId node) {
        if (gather.proposal.contains(node)) return false;
        return core.detector.hears(node, core.now) || !core.detector.ever_heard(node);
    });
}

Next form_ring(Context& context, const Gather& gather) {
    Core& core = context.core;
    std::uint64_t seq = core.ring_seq_max;
    for (const base::NodeId node : gather.proposal) {
        const auto said = gather.said.find(node);
        if (said != gather.said.end()) seq = std::max(seq, said->second.ring_seq_max);
    }
    return enter_commit(context, {.ring = {.seq = seq + 1, .representative = core.self},
                                  .hop = 1,
                                  .members = gather.proposal,
                                  .entries = {}});
}

// Forms the ring if all is said.
Next conclude(Context& context, Gather& gather) {
    const Core& core = context.core;
    if (gather.proposal.front() != core.self || !all_agree(core, gather)) return std::nullopt;
    if (gather.round == 0 && somebody_may_join(core, gather)) return std::nullopt;
    return form_ring(context, gather);
}

void tell_proposal(Context& context, Gather& gather) {
    Core& core = context.core;
    send_join(context, SendToAll::Audience::Configured, &gather);
    core.joined_at = core.now;
    gather.join_at = core.now + core.config.join_interval;
    gather.is_stale = false;
}

// Brings the proposal up to what is known, and tells it where it is another one. Where all were
// told just now, more is likely to come: then it is done when that has come as well.
void update_proposal(Context& context, Gather& gather) {
    Core& core = context.core;
    const Instant at = core.joined_at + core.detector.pace();
    if (core.now < at) {
        gather.is_stale = true;
        gather.join_at = std::min(gather.join_at, at);
        return;
    }
    gather.is_stale = false;
    NodeSet proposal = gather.alone ? NodeSet{core.self} : core.connectivity.proposal();
    if (proposal == gather.proposal) return;
    gather.proposal = std::move(proposal);
    tell_proposal(context, gather);
}

void shun_who_disagrees(Core& core, const Gather& gather) {
    const Instant until = core.now + core.config.consensus_timeout * kShunRounds;
    for (const base::NodeId node : gather.proposal) {
        if (node == core.self) continue;
        const auto said = gather.said.find(node);
        if (said != gather.said.end() && said->second.proposal == gather.proposal) continue;
        core.detector.shun(node, until);
        core.connectivity.set_heard(node, false);
    }
    core.detector.hurry(core.now);
}

}  // namespace

void send_join(Context& context, SendToAll::Audience audience, const Gather* gather) {
    const Core& core = context.core;
    const JoinMessage join{
        .gathering = gather != nullptr,
        .ring = core.installed ? core.installed->ring : base::RingId{},
        .ring_seq_max = core.ring_seq_max,
        .proposal = gather != nullptr ? gather->proposal : core.connectivity.proposal(),
        .rows = core.connectivity.all_rows()};
    context.send_to_all(audience, encode_join(join));
}

State enter_gather(Context& context, GatherReason reason) {
    Core& core = context.core;
    ++core.stats.gathers[static_cast<std::size_t>(reason)];
    core.last_gather = reason;
    context.trace(TraceEntry::What::EnteredGather, {}, static_cast<std::uint64_t>(reason));

    Gather gather;
    gather.alone = core.failed_attempts >= kAttemptsMax;
    ++core.failed_attempts;
    gather.proposal = gather.alone ? NodeSet{core.self} : core.connectivity.proposal();
    gather.round_ends = core.now + core.config.consensus_timeout;
    if (gather.alone) {
        const Instant until = core.now + core.config.consensus_timeout * kShunRounds;
        for (const base::NodeId peer : core.detector.peers()) {
            core.detector.shun(peer, until);
            core.connectivity.set_heard(peer, false);
        }
        gather.round_ends = core.now;
    }
    core.detector.hurry(core.now);
    if (core.now >= core.joined_at + core.detector.pace()) {
        tell_proposal(context, gather);
    } else {
        gather.join_at = core.joined_at + core.detector.pace();
    }
    return gather;
}

Next rows_changed(Context& context, Gather& gather) {
    update_proposal(context, gather);
    return conclude(context, gather);
}

Next join_arrived(Context& context, Gather& gather, base::NodeId from, const JoinMessage& join) {
    if (join.gathering) {
        gather.said[from] = {.proposal = join.proposal,
                             .ring_seq_max = join.ring_seq_max,
                             .incarnation = join.rows.front().incarnation,
                             .at = context.core.now};
    } else {
        gather.said.erase(from);
    }
    update_proposal(context, gather);
    return conclude(context, gather);
}

Next on(Context& context, Gather& gather, base::NodeId from, const CommitToken& token) {
    const Core& core = context.core;
    const bool is_first_rotation = token.hop < token.members.size() &&
                                   token.members.contains(core.self) &&
                                   token.members[token.hop] == core.self;
    // Our own proposal and no other: then all members have the same.
    const bool acceptable = is_first_rotation && token.members == gather.proposal &&
                            token.members[token.hop - 1] == from &&
                            token.ring.seq > core.ring_seq_max;
    if (!acceptable) {
        context.drop(DropCause::WrongState);
        return std::nullopt;
    }
    return enter_commit(context, token);
}

Next on_data(Context& context, Gather&, DataPacket data) {
    // Late messages of the ring that broke: the more of them we have, the less is to be recovered.
    Core& core = context.core;
    const bool ours = core.installed && core.installed->ring == data.ring &&
                      core.installed->members.contains(data.sender);
    if (!ours) {
        context.drop(DropCause::OtherRing);
    } else if (!core.installed->store.insert(data.seq, data.sender, std::move(data.packet))) {
        context.drop(DropCause::Duplicate);
    }
    return std::nullopt;
}

Next on_time(Context& context, Gather& gather) {
    Core& core = context.core;
    if (core.now >= gather.round_ends) {
        ++gather.round;
        gather.round_ends = core.now + core.config.consensus_timeout;
        if (Next next = conclude(context, gather)) return next;
        if (gather.round >= kRoundsMax) {
            gather.alone = true;
            update_proposal(context, gather);
            return conclude(context, gather);
        }
        if (gather.round == kRoundsToShun) {
            shun_who_disagrees(core, gather);
            update_proposal(context, gather);
            if (Next next = conclude(context, gather)) return next;
        }
    }
    if (core.now < gather.join_at) return std::nullopt;
    if (!gather.is_stale) {
        tell_proposal(context, gather);
        return std::nullopt;
    }
    update_proposal(context, gather);
    gather.join_at = std::max(gather.join_at, core.joined_at + core.config.join_interval);
    return conclude(context, gather);
}

std::optional<Instant> deadline(const Gather& gather) {
    return std::min(gather.round_ends, gather.join_at);
}

}  // namespace totem
