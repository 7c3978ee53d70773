#include "cpgd/core/snapshot_schedule.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace cpg {

void SnapshotSchedule::stored(std::size_t bytes) {
    stored_bytes_ = bytes;
    start_afresh();
    is_worth_it_ = false;
}

void SnapshotSchedule::drafted() {
    after_draft_.emplace();
}

void SnapshotSchedule::draft_stored(std::size_t bytes) {
    INVARIANT(after_draft_.has_value());
    const Unstored rest = *after_draft_;
    stored(bytes);
    unstored_ = rest;
}

void SnapshotSchedule::came(base::Instant now, std::size_t bytes) {
    const auto add = [&](Unstored& unstored) {
        unstored.bytes += bytes;
        if (!unstored.since) unstored.since = now;
    };
    add(unstored_);
    if (after_draft_) add(*after_draft_);
}

void SnapshotSchedule::start_afresh() {
    unstored_ = {};
    after_draft_.reset();
}

// With the last of them the state is what it would be without the restart. Before that, as soon as
// those who are back make a difference: one that never comes must not keep it from the others.
void SnapshotSchedule::look_at_clients(base::Instant now, const Core& core) {
    if (!core.is_serving() || awaited_ == 0) return;
    if (!serving_since_) serving_since_ = now;
    const std::size_t awaited = core.awaited_clients();
    const bool is_new = awaited != awaited_;
    awaited_ = awaited;
    if (!is_new) return;
    const bool is_much_less = 4 * core.queued_bytes() <= 3 * stored_bytes_;
    is_worth_it_ = is_worth_it_ || awaited == 0 || is_much_less;
}

bool SnapshotSchedule::is_waiting(base::Instant now) const {
    return awaited_ != 0 && (!serving_since_ || now < *serving_since_ + kReturnTime);
}

SnapshotSchedule::Due SnapshotSchedule::due(base::Instant now, const Core& core) {
    look_at_clients(now, core);
    if (!core.can_snapshot()) return Due::Nothing;
    if (is_worth_it_ || unstored_.bytes >= kUnstoredBytesMax) return Due::Snapshot;
    if (!unstored_.since || is_waiting(now)) return Due::Nothing;
    const base::Duration since = now - *unstored_.since;
    if (since >= kUnstoredTimeMax) return Due::Snapshot;
    if (after_draft_) return Due::Nothing;
    if (unstored_.bytes < kUnstoredBytesMin && since < kUnstoredTimeMin) return Due::Nothing;
    return core.queued_bytes() <= kCheapBytes ? Due::Snapshot : Due::Draft;
}

std::optional<base::Instant> SnapshotSchedule::next_deadline(const Core& core) const {
    if (!unstored_.since || !core.can_snapshot()) return std::nullopt;
    const base::Duration wait = after_draft_ ? kUnstoredTimeMax : kUnstoredTimeMin;
    const base::Instant due = *unstored_.since + wait;
    if (awaited_ == 0) return due;
    if (!serving_since_) return std::nullopt;
    return std::max(due, *serving_since_ + kReturnTime);
}

}  // namespace cpg
