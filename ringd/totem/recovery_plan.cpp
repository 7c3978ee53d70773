#include "ringd/totem/recovery_plan.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace totem {
namespace {

Holdings united(const std::vector<const CommitEntry*>& group) {
    Seq aru{};
    Seq high{};
    for (const CommitEntry* entry : group) {
        aru = std::max(aru, entry->holdings.aru);
        high = std::max(high, entry->holdings.high);
    }
    const auto somebody_has = [&](Seq seq) {
        return std::ranges::any_of(
            group, [&](const CommitEntry* entry) { return entry->holdings.has(seq); });
    };
    while (aru < high && somebody_has(next(aru)))
        aru = next(aru);
    Holdings all{.aru = aru, .high = high, .held = {}};
    all.held.resize(Holdings::bitmap_bytes(aru, high));
    for (Seq seq = next(aru); seq <= high; seq = next(seq)) {
        if (somebody_has(seq)) all.set(seq);
    }
    return all;
}

}  // namespace

RecoveryPlan plan_recovery(const CommitToken& token, base::NodeId self) {
    INVARIANT(token.entries.size() == token.members.size());
    INVARIANT(token.members.contains(self));

    const auto own_index = static_cast<std::size_t>(
        std::lower_bound(token.members.begin(), token.members.end(), self) - token.members.begin());
    const CommitEntry& own = token.entries[own_index];

    RecoveryPlan plan;
    if (own.old_ring == base::RingId{}) {
        plan.transitional = {self};
        plan.delivered_with = {self};
        return plan;
    }
    std::vector<const CommitEntry*> group;
    std::size_t own_place = 0;
    for (std::size_t i = 0; i < token.entries.size(); ++i) {
        if (token.entries[i].old_ring != own.old_ring) continue;
        if (i == own_index) own_place = group.size();
        group.push_back(&token.entries[i]);
        plan.transitional.insert(token.members[i]);
        plan.delivered_with.insert(token.members[i]);
        for (const base::NodeId node : token.entries[i].obliged_to)
            plan.delivered_with.insert(node);
        plan.safe_line = std::max(plan.safe_line, token.entries[i].safe_line);
    }
    plan.together = united(group);

    Seq lowest_aru = own.holdings.aru;
    for (const CommitEntry* entry : group)
        lowest_aru = std::min(lowest_aru, entry->holdings.aru);
    // No member can lag further: what it lacks is not stable, and no more than that is stored.
    const std::uint64_t high = plan.together.high.value();
    if (high > 2 * kUnstableSeqsMax) {
        lowest_aru = std::max(lowest_aru, Seq{high - 2 * kUnstableSeqsMax});
    }
    for (Seq seq = next(lowest_aru); seq <= plan.together.high; seq = next(seq)) {
        // The holders take turns, so that the load is spread.
        std::vector<std::size_t> holders;
        for (std::size_t i = 0; i < group.size(); ++i) {
            if (group[i]->holdings.has(seq)) holders.push_back(i);
        }
        const bool somebody_lacks_it = !holders.empty() && holders.size() < group.size();
        if (!somebody_lacks_it) continue;
        if (holders[seq.value() % holders.size()] == own_place) plan.to_send.push_back(seq);
    }
    return plan;
}

}  // namespace totem
