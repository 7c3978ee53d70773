// Gather: all who hear each other tell whom they hear, compute the same partition, and the
// representative of each part forms its ring.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/totem/gather_parts.hpp"

namespace totem {
namespace {

// Rounds of consensus_timeout. After the first nobody waits for who might still turn up; after
// this many who does not agree is left out.
constexpr std::uint32_t kRoundsToShun = 3;
constexpr std::uint32_t kRoundsMax = 5;

// A proposal, another one when more is known, and one to spare.
constexpr int kWordsARound = 3;

// Before the first ring of many: nodes that keep coming are waited for four times, and then there
// is much to do.
constexpr int kPatientSettlings = 5;

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
        if (core.now - said->second.at > round_length(core)) return false;
        const Row* row = core.connectivity.row_of(node);
        return row != nullptr && row->incarnation == said->second.incarnation;
    });
}

// May somebody come along who is not in the proposal yet? A node that is not heard at all is not
// waited for, except before the first ring, when nobody was yet.
bool somebody_may_join(const Core& core, const Gather& gather) {
    return std::ranges::any_of(core.detector.peers(), [&](base::NodeId node) {
        if (gather.proposal.contains(node)) return false;
        const bool is_awaited =
            !(core.detector.are_many() && core.installed) && !core.detector.ever_heard(node);
        return core.detector.hears(node, core.now) || is_awaited;
    });
}

// Among many, while nodes start or a ring is about to take us in, nothing is wrong with who does
// not agree yet.
bool is_patient(const Core& core, const Gather& gather) {
    return core.detector.are_many() && !gather.alone && gather.possible.size() > 1 &&
           core.now < gather.patient_until;
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
    if (!hears_all(core, gather.proposal)) return std::nullopt;
    if (!is_settled(gather)) return std::nullopt;
    // Many were waited for before they were proposed.
    const bool is_final = core.detector.are_many() && gather.proposal.size() > 1;
    if (gather.round == 0 && !is_final && somebody_may_join(core, gather)) return std::nullopt;
    return form_ring(context, gather);
}

void shun_who_disagrees(Core& core, const Gather& gather) {
    const Instant until = core.now + round_length(core) * kShunRounds;
    const base::NodeId representative = gather.proposal.front();
    for (const base::NodeId node : gather.proposal) {
        if (node == core.self) continue;
        // What the others propose only the representative needs to have been told.
        if (core.detector.are_many() && representative != core.self && node != representative)
            continue;
        const auto said = gather.said.find(node);
        if (said != gather.said.end() && said->second.proposal == gather.proposal) continue;
        core.detector.shun(node, until);
        core.connectivity.set_heard(node, false);
    }
    core.detector.hurry(core.now);
}

}  // namespace

Duration round_length(const Core& core) {
    return std::max(core.config.consensus_timeout, kWordsARound * core.detector.word_cost());
}

// What is proposed may lag behind what we hear, which comes to be told at a pace.
bool hears_all(const Core& core, const NodeSet& members) {
    return core.connectivity.own().hears.includes(members);
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
    gather.round_ends = core.now + round_length(core);
    if (gather.alone) {
        const Instant until = core.now + round_length(core) * kShunRounds;
        for (const base::NodeId peer : core.detector.peers()) {
            core.detector.shun(peer, until);
            core.connectivity.set_heard(peer, false);
        }
        gather.round_ends = core.now;
    }
    core.detector.expect_all(core.now);
    gather.possible = gather.proposal;
    gather.entered_at = gather.looked_at = gather.proposed_at = gather.grew_at = core.now;
    gather.patient_until = core.now;
    if (!core.installed) gather.patient_until += kPatientSettlings * core.detector.settling();
    gather.join_at = core.now + core.config.join_interval;
    say_proposal(context, gather);
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
    hear_representative(context.core, gather, from, join);
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
                            hears_all(core, token.members) && token.ring.seq > core.ring_seq_max;
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
    if (core.now >= gather.round_ends && is_patient(core, gather))
        gather.round_ends = core.now + round_length(core);
    if (core.now >= gather.round_ends) {
        ++gather.round;
        gather.offer.reset();
        gather.round_ends = core.now + round_length(core);
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
    if (gather.update_at && core.now >= *gather.update_at) {
        update_proposal(context, gather);
        if (Next next = conclude(context, gather)) return next;
    }
    if (gather.word_at && core.now >= *gather.word_at) tell_proposal(context, gather);
    if (core.now >= gather.join_at) repeat_proposal(context, gather);
    return std::nullopt;
}

std::optional<Instant> deadline(const Gather& gather) {
    Instant earliest = std::min(gather.round_ends, gather.join_at);
    for (const auto& at : {gather.update_at, gather.word_at}) {
        if (at) earliest = std::min(earliest, *at);
    }
    return earliest;
}

}  // namespace totem
