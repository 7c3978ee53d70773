#include "common/quorum/votes.hpp"

#include <algorithm>
#include <tuple>

#include "common/base/invariant.hpp"

namespace quorum {
namespace {

std::uint32_t majority_of(std::uint32_t votes) {
    return votes / 2 + 1;
}

std::uint32_t narrow(std::uint64_t votes) {
    INVARIANT(votes <= UINT32_MAX);
    return static_cast<std::uint32_t>(votes);
}

std::uint32_t count_votes(std::span<const Member> members, const Device& device) {
    std::uint64_t total = device.casts ? device.votes : 0;
    for (const Member& member : members) {
        total += member.votes;
    }
    return narrow(total);
}

// A strict majority of what is expected or present, whichever is more: a partition with more votes
// than the configuration knows of (a node added, the configuration not yet reloaded) must not need
// fewer than half of them.
std::uint32_t threshold_of(const Rules& rules, const Standing& before, std::uint32_t expected,
                           std::uint32_t total, std::size_t voters, Recount recount) {
    // A third vote ends it, and what was once expected is not forgotten when that node goes.
    if (rules.two_node && voters <= 2 && expected <= 2) return 1;
    const std::uint32_t needed = majority_of(std::max(expected, total));
    return recount == Recount::Keep ? std::max(needed, before.threshold) : needed;
}

// How much of the last quorate membership is here.
struct Overlap {
    std::uint32_t here = 0;
    std::uint32_t all = 0;
    bool has_breaker = false;  // The tie breaker of that membership is here.

    // Two disjoint partitions never both carry it on.
    [[nodiscard]] bool carries_on() const {
        const std::uint64_t twice = std::uint64_t{here} * 2;
        return twice > all || (twice == all && has_breaker);
    }
};

// The node that decides a tie among those who were quorate together last. Without that memory (a
// cold start) nobody does: two halves that never met would each find a breaker of their own.
base::NodeId breaker_of(const TieBreaker& breaker, const Standing& before) {
    if (before.last_quorate.empty()) return base::kNoNode;
    if (std::holds_alternative<LowestNode>(breaker)) return before.last_quorate.begin()->first;
    if (std::holds_alternative<HighestNode>(breaker)) return before.last_quorate.rbegin()->first;
    for (const base::NodeId node : std::get<FirstOf>(breaker).nodes) {
        if (before.last_quorate.contains(node)) return node;
    }
    return base::kNoNode;
}

Overlap overlap_of(const Rules& rules, const Standing& before, std::span<const Member> members) {
    Overlap overlap;
    const base::NodeId breaker =
        rules.tie_breaker ? breaker_of(*rules.tie_breaker, before) : base::kNoNode;
    std::uint64_t all = 0;
    std::uint64_t here = 0;
    for (const auto& [node, votes] : before.last_quorate) {
        all += votes;
        const bool present = std::ranges::binary_search(members, node, {}, &Member::node);
        if (!present) continue;
        here += votes;
        if (node == breaker) overlap.has_breaker = true;
    }
    overlap.all = narrow(all);
    overlap.here = narrow(here);
    return overlap;
}

// Exactly half of the expected votes, and with the breaker of those who were quorate last.
bool wins_tie(const Rules& rules, const Standing& after, const Overlap& overlap) {
    return rules.tie_breaker.has_value() && after.expected_votes % 2 == 0 &&
           after.total_votes == after.expected_votes / 2 && overlap.has_breaker &&
           overlap.carries_on();
}

}  // namespace

Standing decide(const Rules& rules, const Standing& before, std::uint64_t ring_seq,
                std::span<const Member> members, const Device& device, Recount recount) {
    INVARIANT(!members.empty());
    INVARIANT(std::ranges::is_sorted(members, {}, &Member::node));
    INVARIANT(ring_seq >= before.last_quorate_seq);

    Standing after = before;
    after.total_votes = count_votes(members, device);
    after.expected_votes = std::max(before.expected_votes, after.total_votes);
    const std::size_t voters = members.size() + (device.casts ? 1 : 0);
    after.threshold =
        threshold_of(rules, before, after.expected_votes, after.total_votes, voters, recount);
    if (after.total_votes >= after.expected_votes) after.all_seen = true;

    const Overlap overlap = overlap_of(rules, before, members);
    const bool waiting = rules.wait_for_all && !after.all_seen;
    const bool superseded = before.lowered && !overlap.carries_on();
    const bool enough = after.total_votes >= after.threshold || wins_tie(rules, after, overlap) ||
                        (device.casts && device.master_wins);
    after.quorate = !waiting && !superseded && enough;

    if (after.quorate) {
        after.last_quorate_seq = ring_seq;
        after.last_quorate.clear();
        for (const Member& member : members) {
            after.last_quorate.emplace(member.node, member.votes);
        }
    }
    return after;
}

Standing merge(const Standing& one, const Standing& other) {
    // Two rings may share a seq; any fixed choice between their memberships will do.
    const bool one_is_later = std::tie(one.last_quorate_seq, one.last_quorate, one.lowered) >=
                              std::tie(other.last_quorate_seq, other.last_quorate, other.lowered);
    const Standing& later = one_is_later ? one : other;
    Standing both;
    both.expected_votes = std::max(one.expected_votes, other.expected_votes);
    both.threshold = std::max(one.threshold, other.threshold);
    both.quorate = one.quorate || other.quorate;
    both.all_seen = one.all_seen || other.all_seen;
    both.last_quorate = later.last_quorate;
    both.last_quorate_seq = later.last_quorate_seq;
    both.lowered = later.lowered;
    return both;
}

std::optional<Standing> set_expected(const Rules& rules, const Standing& before,
                                     std::uint64_t ring_seq, std::span<const Member> members,
                                     const Device& device, std::uint32_t expected_votes) {
    if (expected_votes < count_votes(members, device)) return std::nullopt;
    Standing set = before;
    set.expected_votes = expected_votes;
    // The administrator answers for it: what went on without these members is no more.
    set.lowered = false;
    Standing after = decide(rules, set, ring_seq, members, device, Recount::Decrease);
    if (before.quorate && !after.quorate) return std::nullopt;
    return after;
}

Standing stand_alone(const Rules& rules, const Standing& before, std::uint64_t ring_seq,
                     std::span<const Member> members, const Device& device) {
    if (!rules.last_man_standing || !before.quorate) return before;
    if (!std::ranges::all_of(members, [](const Member& member) { return member.votes == 1; })) {
        return before;
    }
    Standing set = before;
    set.expected_votes = count_votes(members, device);
    set.lowered = before.lowered || set.expected_votes < before.expected_votes;
    return decide(rules, set, ring_seq, members, device, Recount::Decrease);
}

Standing downscale(const Rules& rules, const Standing& before, std::uint64_t ring_seq,
                   std::span<const Member> members, const Device& device, std::uint32_t votes,
                   std::uint32_t floor) {
    if (!rules.allow_downscale || !before.quorate) return before;
    const std::uint32_t less = before.expected_votes - std::min(votes, before.expected_votes);
    Standing set = before;
    set.expected_votes =
        std::max({less, std::min(floor, before.expected_votes), count_votes(members, device)});
    set.lowered = before.lowered || set.expected_votes < before.expected_votes;
    return decide(rules, set, ring_seq, members, device, Recount::Decrease);
}

}  // namespace quorum
