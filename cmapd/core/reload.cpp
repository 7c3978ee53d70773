#include "cmapd/core/reload.hpp"

#include <algorithm>

namespace cmapd {
namespace {

std::string node_text(base::NodeId node) {
    return "node " + std::to_string(node.value());
}

// Each line of `text` with the node in front, so that it says where it is wrong.
std::string on_node(base::NodeId node, const std::string& text) {
    std::string result;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        result += (result.empty() ? "" : "\n") + node_text(node) + ": " + text.substr(at, end - at);
        at = end + 1;
    }
    return result;
}

// The first node of the ring that has no cmapd on the channel: nobody there would take part.
std::optional<base::NodeId> missing(const std::vector<base::NodeId>& members,
                                    const std::vector<base::NodeId>& ring_members) {
    for (const base::NodeId node : ring_members) {
        if (std::ranges::find(members, node) == members.end()) return node;
    }
    return std::nullopt;
}

}  // namespace

void Reload::request(std::uint64_t life, ReloadActions& actions) {
    if (asked_ || current_) {
        actions.emplace_back(AnswerReload{.outcome = ReloadOutcome::Busy,
                                          .why = "another reload is in progress; try again"});
        return;
    }
    // Most mistakes are found here, and then nobody else is bothered.
    asked_ = Asked{.id = {.node = self_, .life = life, .number = ++number_}};
    preparing_ = asked_->id;
    actions.emplace_back(PrepareReload{.id = asked_->id, .agreed = std::nullopt});
}

void Reload::prepared(const ReloadId& id, const Prepared& result, ReloadActions& actions) {
    if (preparing_ != id) return;  // It was dropped meanwhile.
    if (!result) preparing_.reset();
    if (asked_ && asked_->id == id && !asked_->is_sent) {
        if (!result) {
            answer(id, ReloadOutcome::Refused, on_node(self_, result.error()), actions);
            return;
        }
        asked_->is_sent = true;
        actions.emplace_back(SubmitReload{ReloadBegin{.id = id, .agreed = *result}});
        return;
    }
    if (result) {
        actions.emplace_back(SubmitReload{ReloadReady{.id = id}});
    } else {
        actions.emplace_back(SubmitReload{ReloadRefused{.id = id, .why = result.error()}});
    }
}

void Reload::time_out(ReloadActions& actions) {
    if (!asked_) return;
    const ReloadId id = asked_->id;
    // Where it was begun it is given up in the order, as others may have done their part.
    if (asked_->is_sent) {
        actions.emplace_back(SubmitReload{ReloadGiveUp{.id = id}});
        std::string waiting;
        if (!current_ || current_->id != id) {
            drop_preparation(id, actions);  // Should Begin come all the same, it is done again.
        } else {
            for (const base::NodeId node : current_->waiting) {
                waiting += (waiting.empty() ? "" : ", ") + node_text(node);
            }
        }
        answer(id, ReloadOutcome::TimedOut,
               waiting.empty()
                   ? "the ring did not take it in time"
                   : "no answer from " + waiting + "; where it comes first, the reload is done",
               actions);
        return;
    }
    drop_preparation(id, actions);
    answer(id, ReloadOutcome::TimedOut, on_node(self_, "its daemons did not answer in time"),
           actions);
}

void Reload::record(base::NodeId sender, const ReloadRecord& record, ReloadActions& actions) {
    std::visit([&](const auto& what) { on(sender, what, actions); }, record);
}

void Reload::on(base::NodeId sender, const ReloadBegin& begin, ReloadActions& actions) {
    if (begin.id.node != sender) return;
    const bool is_ours = asked_ && asked_->id == begin.id;
    if (current_) {
        if (is_ours) {  // What was prepared for it was dropped when the other one began.
            answer(begin.id, ReloadOutcome::Busy,
                   node_text(current_->id.node) + " reloads at the same time; try again", actions);
        }
        return;
    }
    if (const auto node = missing(members_, ring_members_)) {
        if (is_ours) {
            drop_preparation(begin.id, actions);
            answer(begin.id, ReloadOutcome::Refused,
                   on_node(*node, "runs no cmapd, so that its configuration cannot change"),
                   actions);
        }
        return;
    }
    current_ = Current{.id = begin.id,
                       .waiting = std::set<base::NodeId>(members_.begin(), members_.end())};
    if (is_ours && preparing_ == begin.id) {
        actions.emplace_back(SubmitReload{ReloadReady{.id = begin.id}});
        return;
    }
    // What was prepared for our own, whose Begin stands behind this one, is of no use; where this
    // is our own, it was dropped for another one that has ended since.
    if (preparing_) drop_preparation(*preparing_, actions);
    if (asked_ && !asked_->is_sent) {
        answer(asked_->id, ReloadOutcome::Busy,
               node_text(sender) + " reloads at the same time; try again", actions);
    }
    preparing_ = begin.id;
    actions.emplace_back(PrepareReload{.id = begin.id, .agreed = begin.agreed});
}

void Reload::on(base::NodeId sender, const ReloadReady& ready, ReloadActions& actions) {
    if (!current_ || current_->id != ready.id) return;
    current_->waiting.erase(sender);
    if (!current_->waiting.empty()) return;
    current_.reset();
    preparing_.reset();
    actions.emplace_back(CommitReload{.id = ready.id});
    answer(ready.id, ReloadOutcome::Done, {}, actions);
}

void Reload::on(base::NodeId sender, const ReloadRefused& refused, ReloadActions& actions) {
    if (!current_ || (refused.id != ReloadId{} && refused.id != current_->id)) return;
    end(ReloadOutcome::Refused, on_node(sender, refused.why), actions);
}

void Reload::on(base::NodeId sender, const ReloadGiveUp& give_up, ReloadActions& actions) {
    if (give_up.id.node != sender || !current_ || current_->id != give_up.id) return;
    end(ReloadOutcome::TimedOut, "given up", actions);
}

void Reload::view(const std::vector<base::NodeId>& members,
                  const std::vector<base::NodeId>& ring_members, ReloadActions& actions) {
    members_ = members;
    ring_members_ = ring_members;
    if (current_) end(ReloadOutcome::Busy, "the membership changed meanwhile; try again", actions);
}

void Reload::end(ReloadOutcome outcome, const std::string& why, ReloadActions& actions) {
    const ReloadId id = current_->id;
    current_.reset();
    drop_preparation(id, actions);
    answer(id, outcome, why, actions);
}

void Reload::answer(const ReloadId& id, ReloadOutcome outcome, const std::string& why,
                    ReloadActions& actions) {
    if (!asked_ || asked_->id != id) return;
    asked_.reset();
    actions.emplace_back(AnswerReload{.outcome = outcome, .why = why});
}

void Reload::drop_preparation(ReloadId id, ReloadActions& actions) {
    if (preparing_ != id) return;
    preparing_.reset();
    actions.emplace_back(DropReload{.id = id});
}

}  // namespace cmapd
