// The decision itself, and what follows from it.
#include <algorithm>
#include <utility>

#include "common/base/invariant.hpp"
#include "quorumd/core/codec.hpp"
#include "quorumd/core/core.hpp"

namespace quorum {
namespace {

constexpr std::uint16_t kDurableVersion = 1;

}  // namespace

// Of the members heard so far, the newest configuration's; ours before the first view.
const Options& Core::options() const {
    const Options* newest = nullptr;
    for (const protocol::ViewMember& member : view_.members) {
        const auto said = said_.find(member.node);
        if (said == said_.end() || skipped_.contains(member.node)) continue;
        if (newest == nullptr || said->second.options.config_version > newest->config_version)
            newest = &said->second.options;
    }
    return newest == nullptr ? config_.options : *newest;
}

std::vector<Member> Core::voters() const {
    const bool leavers_count = !options().rules.allow_downscale;
    std::vector<Member> members;
    for (const protocol::ViewMember& member : view_.members) {
        const auto said = said_.find(member.node);
        if (said == said_.end() || skipped_.contains(member.node)) continue;
        if (said->second.leaving && !leavers_count) continue;
        members.push_back({.node = member.node, .votes = said->second.votes});
    }
    return members;
}

// One device for the partition: what it tells one member it tells all, and a member that has lost
// its way to it belongs to the partition still.
Device Core::device() const {
    Device device{.votes = options().device_votes};
    for (const Member& member : voters()) {
        const DeviceReport& said = said_.at(member.node).device;
        if (!said.registered || !said.alive || !said.casts || said.polled != view_.ring) continue;
        device.casts = true;
        device.master_wins = device.master_wins || said.master_wins;
    }
    return device;
}

void Core::decide(Context& context, Recount recount) {
    const auto members = voters();
    Standing after = standing_;
    if (members.empty()) {
        after.quorate = false;
    } else {
        after =
            quorum::decide(options().rules, standing_, view_.ring.seq, members, device(), recount);
    }
    adopt(context, after);
}

// When quorum that nobody here has may begin: who was left behind may hold a lease. And where it is
// the device that decides, it may have dropped a node that still believes in its word, whether or
// not that node was ever with one of us. Nothing: at once.
std::optional<base::Instant> Core::begins_at(base::Instant now) const {
    std::optional<base::Instant> at;
    if (!standing_.last_quorate.empty()) at = others_left_at_.value_or(now) + config_.lease;
    Device silent = device();
    if (!silent.casts) return at;
    silent.casts = false;
    const auto members = voters();
    const bool is_by_device =
        !quorum::decide(options().rules, standing_, view_.ring.seq, members, silent, Recount::Keep)
             .quorate;
    const base::Duration takeover = std::max(config_.device_takeover(), config_.lease);
    if (is_by_device) at = std::max(at.value_or(now), now + takeover);
    return at;
}

void Core::adopt(Context& context, const Standing& after, Granted granted) {
    ++counters_.decisions;
    const bool begins = after.quorate && !standing_.quorate && granted == Granted::No;
    const auto begins_at = begins ? this->begins_at(context.now) : std::nullopt;
    const Standing before = std::exchange(standing_, after);
    if (begins_at) {
        // Nobody here holds a lease; who was left behind may. What was quorate last stays what it
        // was until ours begins.
        standing_.quorate = false;
        standing_.last_quorate = before.last_quorate;
        standing_.last_quorate_seq = before.last_quorate_seq;
        if (!grant_at_) {
            grant_at_ = begins_at;
            if (*grant_at_ > context.now) ++counters_.grants_waited;
        }
    } else {
        grant_at_.reset();
        is_grant_sent_ = false;
    }
    if (before.quorate && !standing_.quorate) others_left_at_ = context.now;
    claims_ = standing_.quorate;
    watch_window(context);
    store_durable(context);
    if (before.expected_votes != standing_.expected_votes)
        context.actions.emplace_back(ExpectedVotesChanged{});
    was_quorate_ = holds(context.now);
    context.actions.emplace_back(QuorumChanged{});
}

// last_man_standing: the window begins when there is something to lower, and again with each view.
void Core::watch_window(Context& context) {
    const auto members = voters();
    const bool can_lower =
        claims_ && !members.empty() &&
        stand_alone(options().rules, standing_, view_.ring.seq, members, device()).expected_votes <
            standing_.expected_votes;
    if (!can_lower) {
        lower_at_.reset();
        is_lower_sent_ = false;
        promised_.clear();
    } else if (!lower_at_) {
        lower_at_ = context.now + config_.last_man_standing_window;
    }
}

void Core::promise_to_lower(Context& context) {
    is_lower_sent_ = true;
    has_promised_ = true;
    store_durable(context);
    (void)submit(context, Lower{});
}

bool Core::waits_for_all() const {
    return options().rules.wait_for_all && !standing_.all_seen;
}

// ---------------------------------------------------------------- what outlives the machine

// Expected votes that were seen, where they are tracked; and where they may be lowered, the
// membership that others must not overtake. All else is known again from the others, or must be
// agreed upon anew.
void Core::store_durable(Context& context) {
    const Rules& rules = config_.options.rules;
    const bool may_lower = rules.last_man_standing || rules.allow_downscale;
    if (!may_lower && !config_.tracks_expected_votes) return;
    protocol::FrameWriter writer(256);
    writer.write(kDurableVersion);
    tracked_votes_ = std::max(tracked_votes_, standing_.expected_votes);
    writer.write(config_.tracks_expected_votes ? tracked_votes_ : 0);
    Standing kept;
    if (may_lower) {
        kept.last_quorate = standing_.last_quorate;
        kept.last_quorate_seq = standing_.last_quorate_seq;
        kept.lowered = standing_.lowered || has_promised_;
    }
    write_standing(writer, kept);
    base::Buffer durable = std::move(writer).finish();
    if (std::ranges::equal(durable.bytes(), stored_.bytes())) return;
    stored_ = durable;
    context.actions.emplace_back(Store{.durable = std::move(durable)});
}

void Core::load_durable(const base::Buffer& durable) {
    if (durable.empty()) return;
    protocol::FrameReader reader(durable);
    const bool is_ours = reader.read<std::uint16_t>() == kDurableVersion;
    const auto tracked = reader.read<std::uint32_t>();
    const Standing kept = read_standing(reader);
    if (!is_ours || reader.finish()) return;
    if (config_.tracks_expected_votes) {
        tracked_votes_ = tracked;
        standing_.expected_votes = std::max(standing_.expected_votes, tracked);
    }
    standing_.last_quorate = kept.last_quorate;
    standing_.last_quorate_seq = kept.last_quorate_seq;
    standing_.lowered = kept.lowered;
    stored_ = durable;
}

}  // namespace quorum
