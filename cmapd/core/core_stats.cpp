// The stats map: asked for when somebody wants it, and compared every so often for trackers.
#include <algorithm>
#include <array>

#include "cmapd/core/core.hpp"

namespace cmap {
namespace {

namespace api = protocol::cmap;

constexpr std::string_view kClearPrefix = "stats.clear.";
constexpr std::array<std::string_view, 5> kClearable{"knet", "ipc", "totem", "schedmiss", "all"};
constexpr std::size_t kWaitingMax = 16'384;  // One a session.

}  // namespace

bool Core::are_stats_fresh(Context& context, const Asked& asked) {
    if (stats_at_ && context.now - *stats_at_ <= kStatsFresh) return true;
    if (waiting_for_stats_.size() >= kWaitingMax) {
        refuse(context, asked, CsError::TryAgain, "too many wait for statistics");
        return false;
    }
    waiting_for_stats_.push_back(asked);
    collect_stats(context);
    return false;
}

void Core::collect_stats(Context& context) {
    if (is_collecting_) return;
    is_collecting_ = true;
    context.actions.emplace_back(CollectStats{});
}

void Core::on(Context& context, const StatsCollected& collected) {
    is_collecting_ = false;
    const bool is_first = !stats_at_;
    stats_at_ = context.now;
    Values before = std::exchange(stats_, collected.values);
    std::vector<Asked> waiting = std::exchange(waiting_for_stats_, {});
    for (const Asked& asked : waiting) {
        on(context, asked);
    }
    if (trackers_.is_empty(Map::Stats)) return;
    collect_at_ = context.now + kStatsPeriod;
    if (is_first) return;  // Nothing to compare with.
    for (const auto& [key, value] : before) {
        if (!stats_.contains(key)) {
            tell(context, Map::Stats,
                 {.revision = {}, .key = key, .old_value = value, .new_value = std::nullopt});
        }
    }
    for (const auto& [key, value] : stats_) {
        const auto old = before.find(key);
        if (old != before.end() && old->second == value) continue;
        const bool is_new = old == before.end();
        tell(context, Map::Stats,
             {.revision = {},
              .key = key,
              .old_value = is_new ? std::nullopt : std::optional(old->second),
              .new_value = value});
    }
}

// Write-only keys: the only ones of the map that can be set.
void Core::clear_stats(Context& context, const Asked& asked, const api::Set& set) {
    const std::string_view key = set.key;
    const bool can_clear =
        key.starts_with(kClearPrefix) &&
        std::ranges::find(kClearable, key.substr(kClearPrefix.size())) != kClearable.end();
    if (!can_clear) {
        return refuse(context, asked, CsError::NotSupported,
                      "of the statistics only stats.clear.{knet,ipc,totem,schedmiss,all} are set");
    }
    stats_at_.reset();
    context.actions.emplace_back(ClearStats{.which = std::string(key.substr(kClearPrefix.size()))});
    answer(context, asked, CsError::Ok, api::encode(api::Answer{api::Done{}}));
}

}  // namespace cmap
