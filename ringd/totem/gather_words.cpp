// Gather: who is told what is proposed.
#include <algorithm>

#include "ringd/totem/gather_parts.hpp"

namespace totem {
namespace {

// Up to here all who have not agreed hear the proposal again at each join_interval.
// But for the representative's it matters less.
constexpr std::size_t kNodesAtJoinInterval = 16;
constexpr std::size_t kOthersAtJoinInterval = 4;

// The first word of many leaves out what most know from others: who still disagrees is told all.
std::vector<Row> rows_at_first(const Core& core) {
    if (core.detector.are_many()) return {core.connectivity.own()};
    return core.connectivity.rows_to_relay();
}

JoinMessage join_of(const Core& core, const Gather& gather, std::vector<Row> rows) {
    return {.gathering = true,
            .ring = core.installed ? core.installed->ring : base::RingId{},
            .ring_seq_max = core.ring_seq_max,
            .proposal = gather.proposal,
            .rows = std::move(rows)};
}

// Among many the representative is told by each, and tells all. Others tell all whom they have
// lost, and, when that way led to nothing, what they propose.
bool concerns_all(const Core& core, const Gather& gather) {
    return !core.detector.are_many() || gather.proposal.front() == core.self || gather.round > 0;
}

}  // namespace

void tell_proposal(Context& context, Gather& gather) {
    Core& core = context.core;
    context.send_to_all(SendToAll::Audience::Configured,
                        encode_join(join_of(core, gather, rows_at_first(core))));
    core.detector.told_all(core.now);
    gather.join_at = core.now + core.config.join_interval;
    gather.repeats = 0;
    gather.word_at.reset();
    gather.is_offered = gather.proposal.size() > 1;
}

void say_proposal(Context& context, Gather& gather) {
    Core& core = context.core;
    const base::NodeId representative = gather.proposal.front();
    if (concerns_all(core, gather) || core.detector.has_a_word(core.now)) {
        gather.word_at = core.detector.next_word();
        if (core.now >= *gather.word_at) {
            tell_proposal(context, gather);
            return;
        }
        // Should a ring be formed before, a heartbeat tells our row.
        core.detector.hurry(core.now);
    }
    if (representative != core.self) tell_row(context, gather, representative);
}

void tell_row(Context& context, const Gather& gather, base::NodeId representative) {
    const Core& core = context.core;
    context.send_to(representative, encode_join(join_of(core, gather, rows_at_first(core))));
}

// Those who have not said the same. That the representative knows it cannot be seen.
void repeat_proposal(Context& context, Gather& gather) {
    Core& core = context.core;
    if (!core.detector.are_many()) {
        tell_proposal(context, gather);
        return;
    }
    const bool is_representative = gather.proposal.front() == core.self;
    const std::size_t divisor = is_representative ? kNodesAtJoinInterval : kOthersAtJoinInterval;
    const std::size_t every = 1 + core.detector.peers().size() / divisor;
    gather.join_at = core.now + core.config.join_interval;
    if (!is_settled(gather)) return;
    const bool is_for_all = concerns_all(core, gather);
    const bool all_are_due = ++gather.repeats % every == 0 && is_for_all;
    std::vector<base::NodeId> missing;
    for (const base::NodeId node : core.detector.peers()) {
        const auto said = gather.said.find(node);
        const bool agrees = said != gather.said.end() && said->second.proposal == gather.proposal;
        const bool is_due = all_are_due && !agrees && core.detector.hears(node, core.now);
        if (is_due || node == gather.proposal.front()) missing.push_back(node);
    }
    if (missing.empty()) return;
    std::vector<Row> rows = is_for_all ? core.connectivity.rows_to_relay() : rows_at_first(core);
    const base::Buffer join = encode_join(join_of(core, gather, std::move(rows)));
    for (const base::NodeId node : missing)
        context.send_to(node, join);
}

}  // namespace totem
