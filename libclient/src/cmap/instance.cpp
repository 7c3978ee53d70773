#include "libclient/src/cmap/instance.hpp"

#include "libclient/src/base/cancellation.hpp"
#include "libclient/src/base/dispatch.hpp"

namespace client {
namespace {

namespace api = protocol::cmap;

// `data` is never null: programs look at it without asking.
cmap_notify_value value_of(const std::optional<api::Value>& value) {
    if (!value) return {.type = cmap_value_types_t{}, .len = 0, .data = ""};
    return {.type = static_cast<cmap_value_types_t>(value->type),
            .len = value->bytes.size(),
            .data = value->bytes.data()};
}

}  // namespace

cs_error_t CmapInstance::dispatch(cs_dispatch_flags_t flags) {
    std::optional<api::Changed> change;
    return dispatch_events(
        flags, finalized_, [&](Wait wait) { return client_->next_change(change, wait); },
        [&] {
            if (change) run(*change);
        });
}

void CmapInstance::run(const api::Changed& change) {
    Tracker tracker;
    {
        const std::lock_guard lock(trackers_mutex_);
        const auto found = trackers_.find(change.track.value());
        if (found == trackers_.end()) return;  // Deleted, and this was under way.
        tracker = found->second;
    }
    // The first and the last value of a statistic are given on both sides: so does Corosync, and
    // corosync-notifyd takes the name of a program that has ended from the new one.
    const bool is_both = client_->map() == api::Map::Stats;
    const auto& now = is_both && !change.new_value ? change.old_value : change.new_value;
    const auto& before = is_both && !change.old_value ? change.new_value : change.old_value;
    const CancellationShield::Opening opening;
    tracker.notify(handle_, change.track.value(), change.kind, change.key.c_str(), value_of(now),
                   value_of(before), tracker.user_data);
}

cs_error_t CmapInstance::track(const std::string& key, std::int32_t type, cmap_notify_fn_t notify,
                               void* user_data, cmap_track_handle_t& handle) {
    cmap_track_handle_t made = 0;
    {
        const std::lock_guard lock(trackers_mutex_);
        made = ++last_tracker_;
        trackers_.emplace(made, Tracker{.notify = notify, .user_data = user_data});
    }
    const bool prefix = (type & CMAP_TRACK_PREFIX) != 0;
    const cs_error_t tracked = client_->track(api::TrackId{made}, key, prefix,
                                              static_cast<std::uint8_t>(type & api::kEventBits));
    if (tracked == CS_OK) {
        handle = made;
    } else {
        const std::lock_guard lock(trackers_mutex_);
        trackers_.erase(made);
    }
    return tracked;
}

cs_error_t CmapInstance::untrack(cmap_track_handle_t handle) {
    {
        const std::lock_guard lock(trackers_mutex_);
        if (trackers_.erase(handle) == 0) return CS_ERR_BAD_HANDLE;
    }
    return client_->untrack(api::TrackId{handle});
}

void CmapInstance::finalize() {
    finalized_ = true;
    // As Corosync's: the handle is gone, whether the daemon heard of it or not.
    (void)client_->session().close();
}

}  // namespace client
