// Views, and the exchange of states after which all members of a view decide.
#include <algorithm>
#include <utility>

#include "common/base/invariant.hpp"
#include "quorumd/core/core.hpp"

namespace quorum {
namespace {

// Of the lease. Whoever says nothing for so long (its quorumd hangs) is not waited for: else the
// others would lose their quorum by its fault.
constexpr int kSkipPart = 4;

}  // namespace

void Core::on_view(Context& context, const protocol::View& view) {
    const protocol::ViewMember self{.node = self_, .incarnation = incarnation_};
    const bool is_in = std::ranges::find(view.members, self) != view.members.end();
    if (!is_in) return;  // Our attachment has ended; ringd tells.
    const bool is_new_ring = view.ring != view_.ring;
    const bool are_all_here = std::ranges::all_of(standing_.last_quorate, [&](const auto& was) {
        return std::ranges::find(view.members, was.first, &protocol::ViewMember::node) !=
               view.members.end();
    });
    if (claims_ && !are_all_here) others_left_at_ = context.now;
    // What a node says of rings to come is not from this cluster's past.
    if (standing_.last_quorate_seq > view.ring.seq) {
        standing_.last_quorate.clear();
        standing_.last_quorate_seq = 0;
        standing_.lowered = false;
    }
    view_ = view;
    is_transitional_ = false;
    skipped_.clear();
    grant_at_.reset();
    lower_at_.reset();
    promised_.clear();
    is_grant_sent_ = is_lower_sent_ = is_skip_sent_ = false;
    if (is_new_ring && own_.device.registered && own_.device.alive)
        device_deadline_ = context.now + config_.device_sync_timeout;
    context.actions.emplace_back(MembersChanged{.joined = view.joined, .left = view.left});
    if (exchange_) ++counters_.exchanges_aborted;
    begin_exchange(context, is_new_ring || (exchange_ && exchange_->is_new_ring));
}

void Core::begin_exchange(Context& context, bool is_new_ring) {
    ++counters_.exchanges;
    exchange_.emplace();
    exchange_->is_new_ring = is_new_ring;
    exchange_->skip_at = context.now + config_.lease / kSkipPart;
    State state{.own = own_, .standing = as_claimed(context.now)};
    if (others_left_at_) {
        const auto ago =
            std::chrono::floor<std::chrono::milliseconds>(context.now - *others_left_at_);
        state.others_left_ago_ms =
            static_cast<std::uint32_t>(std::clamp<std::int64_t>(ago.count(), 0, UINT32_MAX));
    }
    (void)submit(context, std::move(state), true);
}

// What the others are told of us: a claim whose lease has ended is none.
Standing Core::as_claimed(base::Instant now) const {
    Standing standing = standing_;
    standing.quorate = holds(now) && !config_.is_free;
    standing.lowered = standing.lowered || has_promised_;
    return standing;
}

void Core::on_batch(Context& context, const protocol::Batch& batch) {
    const auto sender = std::ranges::find(view_.members, batch.sender, &protocol::ViewMember::node);
    const auto message = decode_message(batch.payload);
    if (sender == view_.members.end() || !message) {
        ++counters_.messages_refused;
        return;
    }
    std::optional<Outstanding> own;
    if (batch.sender == self_ && message->life == life_) {
        const auto sent = std::ranges::find(outstanding_, message->number, &Outstanding::number);
        if (sent != outstanding_.end()) {
            own = *sent;
            outstanding_.erase(sent);
        }
        if (announcement_ == message->number) announcement_.reset();
    }
    const bool is_late = is_transitional_ || message->view != view_id();
    if (is_late) {
        ++counters_.messages_stale;
        if (is_transitional_ && message->view == view_id())
            applied_elsewhere(*message, batch.sender);
    } else if (own) {
        prove(own->at);
    }
    const std::optional<Outcome> outcome =
        is_late ? std::optional(Outcome::TryAgain) : dispatch(context, batch.sender, *message);
    if (own && own->token) {
        context.actions.emplace_back(
            Answer{.token = *own->token, .outcome = outcome.value_or(Outcome::TryAgain)});
    }
    announce_changes(context);
}

// Delivered safe in the regular configuration: all members of the ring have it, since then.
void Core::prove(base::Instant at) {
    std::optional<base::Instant>& proof = exchange_ ? exchange_->proof : proof_;
    if (!proof || *proof < at) proof = at;
}

std::vector<base::NodeId> Core::awaited() const {
    std::vector<base::NodeId> nodes;
    if (!exchange_) return nodes;
    for (const protocol::ViewMember& member : view_.members) {
        if (!exchange_->said.contains(member.node) && !skipped_.contains(member.node))
            nodes.push_back(member.node);
    }
    return nodes;
}

// Members whose device lives and has not spoken in this ring. One whose last word was no has
// nothing to lose: it is heard when it says yes.
std::vector<base::NodeId> Core::awaited_devices() const {
    std::vector<base::NodeId> nodes;
    for (const protocol::ViewMember& member : view_.members) {
        const auto said = said_.find(member.node);
        if (said == said_.end() || skipped_.contains(member.node)) continue;
        const DeviceReport& device = said->second.device;
        const bool may_vote = device.registered && device.alive && device.casts;
        if (may_vote && device.polled != view_.ring) nodes.push_back(member.node);
    }
    return nodes;
}

// Whether the partition is quorate hangs on devices that have not spoken yet.
bool Core::devices_decide() const {
    const auto nodes = awaited_devices();
    if (nodes.empty()) return false;
    const std::vector<Member> members = voters();
    if (members.empty()) return false;
    Device yes = device();
    const Device so_far = yes;
    yes.casts = true;
    for (const base::NodeId node : nodes) {
        yes.master_wins = yes.master_wins || said_.at(node).device.master_wins;
    }
    const auto is_quorate_with = [&](const Device& vote) {
        return quorum::decide(options().rules, standing_, view_.ring.seq, members, vote,
                              Recount::Keep)
            .quorate;
    };
    return is_quorate_with(yes) != is_quorate_with(so_far);
}

void Core::merge_states(Context& context) {
    exchange_->is_merged = true;
    INVARIANT(!exchange_->said.empty());
    Standing merged = exchange_->said.begin()->second.standing;
    for (const auto& [node, state] : exchange_->said) {
        merged = merge(merged, state.standing);
        said_[node] = state.own;
    }
    // A claim from before that membership was overtaken by it: whoever was in it may have one too.
    merged.quorate = std::ranges::any_of(exchange_->said, [&](const auto& said) {
        const Standing& standing = said.second.standing;
        return standing.quorate && standing.last_quorate_seq == merged.last_quorate_seq;
    });
    std::uint32_t ago_ms = UINT32_MAX;
    for (const auto& [node, state] : exchange_->said) {
        ago_ms = std::min(ago_ms, state.others_left_ago_ms);
    }
    standing_ = merged;
    has_promised_ = false;  // It is in there.
    others_left_at_ = std::max(base::Instant{}, context.now - std::chrono::milliseconds(ago_ms));
}

// Decides once all is there.
void Core::settle(Context& context) {
    if (!exchange_ || !awaited().empty() || exchange_->said.empty()) return;
    if (!exchange_->is_merged) merge_states(context);
    if (devices_decide()) return;
    const auto proof = exchange_->proof;
    exchange_.reset();
    if (proof) prove(*proof);
    is_serving_ = true;
    decide(context, Recount::Keep);
    announce_changes(context);
}

}  // namespace quorum
