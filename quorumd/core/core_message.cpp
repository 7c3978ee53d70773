// What the messages of the view do, in the same order at all its members.
#include <algorithm>

#include "quorumd/core/core.hpp"

namespace quorum {

// Nothing: the message took no effect here, as at all members.
std::optional<Outcome> Core::dispatch(Context& context, base::NodeId sender,
                                      const Message& message) {
    return std::visit(
        [&](const auto& what) -> std::optional<Outcome> {
            using What = std::decay_t<decltype(what)>;
            if constexpr (std::is_same_v<What, SetExpected> || std::is_same_v<What, SetVotes> ||
                          std::is_same_v<What, CancelWaitForAll>) {
                if (exchange_) return std::nullopt;
                return change(context, what);
            } else {
                apply(context, sender, what);
                return Outcome::Done;
            }
        },
        message.what);
}

void Core::apply(Context& context, base::NodeId sender, const State& state) {
    if (state.standing.last_quorate_seq > view_.ring.seq) {
        ++counters_.messages_refused;
        return;
    }
    if (exchange_) {
        // Said again by a quorumd that was restarted: the first one counts.
        const bool is_new = exchange_->is_merged ? skipped_.contains(sender)
                                                 : exchange_->said.emplace(sender, state).second;
        if (!is_new) return;
        skipped_.erase(sender);
        if (exchange_->is_merged) {
            exchange_->said[sender] = state;  // Else it would be awaited for ever.
            said_[sender] = state.own;
            standing_ = merge(standing_, state.standing);
        }
        settle(context);
        return;
    }
    if (skipped_.erase(sender) == 0) return;
    said_[sender] = state.own;
    // What it claimed when it said this, it has lost with the decision that was made without it.
    const bool quorate = standing_.quorate;
    standing_ = merge(standing_, state.standing);
    standing_.quorate = quorate;
    decide(context, Recount::Keep);
}

void Core::apply(Context& context, base::NodeId sender, const Announce& announce) {
    if (skipped_.contains(sender)) return;
    if (exchange_) {
        if (exchange_->is_merged) {
            said_[sender] = announce.own;
        } else if (const auto said = exchange_->said.find(sender); said != exchange_->said.end()) {
            said->second.own = announce.own;
        }
        settle(context);
        return;
    }
    const Announcement before = said_[sender];
    said_[sender] = announce.own;
    const bool leaves = announce.own.leaving && !before.leaving;
    if (leaves && options().rules.allow_downscale && !voters().empty()) {
        adopt(context, downscale(options().rules, standing_, view_.ring.seq, voters(), device(),
                                 announce.own.votes, options().expected_votes));
        return;
    }
    if (announce.own.options.expected_votes != before.options.expected_votes &&
        heed_configured_votes(context, announce.own.options.expected_votes))
        return;
    decide(context, announce.own.votes < before.votes ? Recount::Decrease : Recount::Keep);
}

// The file of a node was changed and read again. More expected votes count at once; fewer when all
// members have read them, and as an administrator's word.
bool Core::heed_configured_votes(Context& context, std::uint32_t configured) {
    if (configured > standing_.expected_votes) {
        standing_.expected_votes = configured;
        return false;
    }
    const bool all_say_so = std::ranges::all_of(view_.members, [&](const auto& member) {
        const auto said = said_.find(member.node);
        return said != said_.end() && said->second.options.expected_votes == configured;
    });
    const auto members = voters();
    if (configured == standing_.expected_votes || !all_say_so || members.empty()) return false;
    const auto set =
        set_expected(options().rules, standing_, view_.ring.seq, members, device(), configured);
    if (!set) return false;
    adopt(context, *set);
    return true;
}

// Members reach each other: time to say so oneself, so that one rotation serves all.
void Core::apply(Context& context, base::NodeId, const Renewal&) {
    ++counters_.renewals;
    if (is_renewal_due(context.now, config_.renewal / 2)) (void)submit(context, Renewal{}, true);
}

// Expected votes are lowered once every member has stored that they may be: whoever it then is cut
// off from, or comes back to after a power failure, can't have missed it.
void Core::apply(Context& context, base::NodeId sender, const Lower&) {
    const auto members = voters();
    if (exchange_ || members.empty()) return;
    promised_.insert(sender);
    const bool have_all = std::ranges::all_of(
        members, [this](const Member& member) { return promised_.contains(member.node); });
    if (!have_all) return;
    promised_.clear();
    lower_at_.reset();
    is_lower_sent_ = false;
    has_promised_ = false;
    adopt(context, stand_alone(options().rules, standing_, view_.ring.seq, members, device()));
}

void Core::apply(Context& context, base::NodeId, const Skip& skip) {
    if (!exchange_ || exchange_->is_merged) return;
    for (const base::NodeId node : skip.nodes) {
        const bool is_member =
            std::ranges::find(view_.members, node, &protocol::ViewMember::node) !=
            view_.members.end();
        if (!is_member || exchange_->said.contains(node)) continue;
        if (skipped_.insert(node).second) ++counters_.members_skipped;
    }
    settle(context);
}

void Core::apply(Context& context, base::NodeId, const Grant&) {
    const auto members = voters();
    if (exchange_ || !grant_at_ || members.empty()) return;
    adopt(context,
          quorum::decide(options().rules, standing_, view_.ring.seq, members, device(),
                         Recount::Keep),
          Granted::Yes);
}

Outcome Core::change(Context& context, const SetExpected& set) {
    const auto members = voters();
    if (members.empty()) return Outcome::Refused;
    const auto after = set_expected(options().rules, standing_, view_.ring.seq, members, device(),
                                    set.expected_votes);
    if (!after) return Outcome::Refused;
    adopt(context, *after);
    return Outcome::Done;
}

Outcome Core::change(Context& context, const SetVotes& set) {
    const auto members = voters();
    const auto member = std::ranges::find(members, set.node, &Member::node);
    if (member == members.end()) return Outcome::NoSuchNode;
    std::vector<Member> changed = members;
    changed[static_cast<std::size_t>(member - members.begin())].votes = set.votes;
    const Standing after = quorum::decide(options().rules, standing_, view_.ring.seq, changed,
                                          device(), Recount::Decrease);
    if (standing_.quorate && !after.quorate) return Outcome::Refused;
    said_[set.node].votes = set.votes;
    if (set.node == self_) own_.votes = set.votes;
    adopt(context, after);
    return Outcome::Done;
}

Outcome Core::change(Context& context, const CancelWaitForAll&) {
    standing_.all_seen = true;
    decide(context, Recount::Keep);
    return Outcome::Done;
}

// It came after the ring broke: those on the other side may have had it before, and gone on with
// lowered expected votes. From here on, who has not most of the last quorate membership is not
// quorate.
void Core::applied_elsewhere(const Message& message, base::NodeId sender) {
    const auto* announce = std::get_if<Announce>(&message.what);
    const auto said = said_.find(sender);
    const bool leaves = announce != nullptr && announce->own.leaving && said != said_.end() &&
                        !said->second.leaving && options().rules.allow_downscale;
    if (leaves && standing_.quorate) standing_.lowered = true;
}

}  // namespace quorum
