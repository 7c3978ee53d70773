#include "cpgd/core/snapshot_schedule.hpp"

#include <algorithm>

namespace cpg {

void SnapshotSchedule::stored(std::size_t bytes) {
    stored_bytes_ = bytes;
    start_afresh();
    is_worth_it_ = false;
}

void SnapshotSchedule::came(base::Instant now, std::size_t bytes) {
    unstored_bytes_ += bytes;
    if (!unstored_since_) unstored_since_ = now;
}

void SnapshotSchedule::start_afresh() {
    unstored_since_.reset();
    unstored_bytes_ = 0;
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

bool SnapshotSchedule::is_due(base::Instant now, const Core& core) {
    look_at_clients(now, core);
    if (!core.can_snapshot()) return false;
    if (is_worth_it_ || unstored_bytes_ >= kUnstoredBytesMax) return true;
    if (!unstored_since_ || is_waiting(now)) return false;
    const base::Duration since = now - *unstored_since_;
    if (unstored_bytes_ < kUnstoredBytesMin && since < kUnstoredTimeMin) return false;
    return is_cheap() || since >= kUnstoredTimeMax;
}

std::optional<base::Instant> SnapshotSchedule::next_deadline(const Core& core) const {
    if (!unstored_since_ || !core.can_snapshot()) return std::nullopt;
    const base::Instant due = *unstored_since_ + (is_cheap() ? kUnstoredTimeMin : kUnstoredTimeMax);
    if (awaited_ == 0) return due;
    if (!serving_since_) return std::nullopt;
    return std::max(due, *serving_since_ + kReturnTime);
}

}  // namespace cpg
