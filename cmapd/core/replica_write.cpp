// Writes to the cluster's keys: when they may be made, what they do in their place of the order,
// and when they are answered.
#include <algorithm>
#include <utility>

#include "cmapd/core/replica.hpp"
#include "common/base/invariant.hpp"

namespace cmap {
namespace {

namespace api = protocol::cmap;

ClusterAnswer answer_of(CsError error, const api::Answer& answer) {
    return {.number = 0, .error = error, .payload = api::encode(answer), .at = 0};
}
ClusterAnswer done() {
    return answer_of(CsError::Ok, api::Done{});
}
ClusterAnswer refusal(CsError error, const char* reason) {
    return answer_of(error, api::Refusal{.reason = reason});
}

}  // namespace

// ---------------------------------------------------------------- the gate

bool Replica::is_quorate() const {
    return is_uncounted_ || quorate_ring_ == view_.ring;
}

bool Replica::has_lease() const {
    return is_uncounted_ || !quorate_until_ || now_ < *quorate_until_;
}

std::optional<base::Instant> Replica::lease_end() const {
    return is_quorate() && has_lease() ? quorate_until_ : std::nullopt;
}

bool Replica::has_enough_members() const {
    return view_.members.size() == view_.ring_members.size() ||
           (nodes_ > 0 && 2 * view_.members.size() > nodes_);
}

bool Replica::is_open() const {
    return is_synchronised_ && is_quorate() && has_lease() && has_enough_members();
}

bool Replica::is_shut() const {
    if (view_.members.empty()) return false;
    const bool is_refused = !is_uncounted_ && inquorate_ring_ == view_.ring;
    return is_refused || !has_enough_members();
}

const char* Replica::why_closed() const {
    if (is_open()) return "";
    if (view_.members.empty()) return "this node is not in the cluster yet";
    if (!is_quorate()) return "this partition is not quorate";
    if (!has_lease()) return "the lease of quorum has ended";
    if (!has_enough_members()) return "too few nodes of the ring run cmapd";
    return "the nodes are agreeing on the keys";
}

void Replica::quorum(base::RingId ring, bool is_quorate, std::optional<base::Instant> until,
                     Out& out) {
    is_uncounted_ = false;
    quorate_ring_ = is_quorate ? std::optional(ring) : std::nullopt;
    inquorate_ring_ = is_quorate ? std::nullopt : std::optional(ring);
    quorate_until_ = until;
    go_on(out);
}

void Replica::uncounted(Out& out) {
    is_uncounted_ = true;
    quorate_until_.reset();
    go_on(out);
}

void Replica::set_nodes(std::size_t nodes, Out& out) {
    nodes_ = nodes;
    go_on(out);
}

// ---------------------------------------------------------------- a client's write

const ClusterAnswer* Replica::answered(SessionId session, std::uint64_t number) const {
    const auto found = answers_.find(session);
    return found != answers_.end() && found->second.number == number ? &found->second : nullptr;
}

void Replica::write(SessionId session, std::uint64_t number, api::Request request, Out& out) {
    pending_.insert_or_assign({session, number}, Pending{.request = std::move(request)});
    go_on(out);
}

void Replica::abandon(SessionId session, std::uint64_t number) {
    pending_.erase({session, number});
}

// ---------------------------------------------------------------- going on

// What was delivered in a transitional configuration the others may not have: its answer waits for
// the view after it. What another state has swept away is sent again.
void Replica::go_on(Out& out) {
    tell_stored(out);
    if (!is_open() || came_along_) return;
    const bool is_begun = version_.epoch == view_.ring;
    if (!is_begun) begin_epoch(out);
    Apply apply;
    const std::uint64_t stored = is_begun ? stored_by_all() : 0;
    // Stored with what comes next: it is for a warning only.
    const std::uint64_t behind = total_ - std::min(stored, total_);
    if (behind < version_.count) {
        settled_ = {.epoch = version_.epoch, .count = version_.count - behind};
    }
    answer_writes(stored, apply, out);
    answer_reads(stored, apply);
    if (!apply.answers.empty()) out.applies.push_back(std::move(apply));
    send_mark(out);
}

// All that ask for it name it alike, so it is done once.
void Replica::begin_epoch(Out& out) {
    const bool is_wanted =
        !pending_.empty() || !reads_.empty() || !marked_reads_.empty() || !seen_reads_.empty();
    if (!is_wanted || begun_in_ == view_.ring) return;
    begun_in_ = view_.ring;
    out.submits.push_back({.payload = encode_record(Op{.ring = view_.ring,
                                                       .session = SessionId{0},
                                                       .number = view_.ring.seq,
                                                       .request = api::Transaction{}})});
}

void Replica::answer_writes(std::uint64_t stored, Apply& apply, Out& out) {
    for (auto at = pending_.begin(); at != pending_.end();) {
        auto& [id, pending] = *at;
        const ClusterAnswer* answer =
            pending.answer ? &*pending.answer : answered(id.first, id.second);
        if (answer != nullptr && answer->at <= stored) {
            apply.answers.push_back({.session = id.first,
                                     .number = id.second,
                                     .error = answer->error,
                                     .payload = answer->payload});
            at = pending_.erase(at);
            continue;
        }
        if (answer == nullptr && pending.submitted_in != view_.ring) {
            pending.submitted_in = view_.ring;
            out.submits.push_back({.payload = encode_record(Op{.ring = view_.ring,
                                                               .session = id.first,
                                                               .number = id.second,
                                                               .request = pending.request})});
        }
        ++at;
    }
}

void Replica::was_stored(std::uint64_t total, Out& out) {
    own_stored_ = total;
    go_on(out);
}

std::uint64_t Replica::stored_by_all() const {
    std::uint64_t stored = own_stored_;
    for (const protocol::ViewMember& member : view_.members) {
        if (member.node == self_) continue;
        const auto said = stored_.find(member.node);
        stored = std::min(stored, said == stored_.end() ? 0 : said->second);
    }
    return stored;
}

void Replica::tell_stored(Out& out) {
    if (!is_synchronised_ || own_stored_ == told_stored_ || view_.members.size() < 2) return;
    told_stored_ = own_stored_;
    out.submits.push_back(
        {.payload = encode_record(Stored{.ring = view_.ring,
                                         .view = view_.version,
                                         .total = own_stored_,
                                         .asks = std::exchange(asks_stored_, false)}),
         .urgent = false,
         .safe = false});
}

void Replica::on_stored(base::NodeId sender, const Stored& stored, Out& out) {
    if (stored.ring != view_.ring || stored.view != view_.version || sender == self_) return;
    stored_[sender] = stored.total;
    if (stored.asks) told_stored_ = 0;
    go_on(out);
}

// ---------------------------------------------------------------- in the order

void Replica::on_op(const Op& op, Out& out) {
    // Its node may have been quorate where it sent it; here is elsewhere. It sends it again.
    if (op.ring != view_.ring) return;
    if (exchange_) {
        exchange_->held.push_back(op);
        return;
    }
    if (is_synchronised_) apply(op, out);
}

void Replica::apply(const Op& op, Out& out) {
    const auto before = answers_.find(op.session);
    if (before != answers_.end() && before->second.number >= op.number) return;

    if (version_.epoch != op.ring) {
        if (version_ != Version{}) lineage_.push_back(version_);
        if (lineage_.size() > kLineageMax) lineage_.erase(lineage_.begin());
        version_ = {.epoch = op.ring, .count = 0};
    }
    ++version_.count;
    ++total_;
    Apply apply;
    ClusterAnswer answer = carry_out(op.request, apply.writes);
    answer.number = op.number;
    answer.at = total_;
    remember(op.session, answer);

    // Answered by go_on(), when all have stored it.
    const auto waits = pending_.find({op.session, op.number});
    if (waits != pending_.end()) waits->second.answer = std::move(answer);
    out.applies.push_back(std::move(apply));
}

void Replica::remember(SessionId session, ClusterAnswer answer) {
    answers_.insert_or_assign(session, std::move(answer));
    if (answers_.size() <= kAnswersMax) return;
    answers_.erase(
        std::ranges::min_element(answers_, {}, [](const auto& each) { return each.second.at; }));
}

void Replica::put(const std::string& key, std::optional<Value> value,
                  std::vector<api::Write>& writes) {
    if (value) {
        keys_.insert_or_assign(key, *value);
    } else {
        keys_.erase(key);
    }
    writes.push_back({.key = key, .value = std::move(value)});
}

ClusterAnswer Replica::carry_out(const api::Request& request, std::vector<api::Write>& writes) {
    if (const auto* set = std::get_if<api::Set>(&request)) {
        put(set->key, set->value, writes);
        return done();
    }
    if (const auto* gone = std::get_if<api::Delete>(&request)) {
        if (!keys_.contains(gone->key)) return refusal(CsError::NotExist, "no such key");
        put(gone->key, std::nullopt, writes);
        return done();
    }
    if (const auto* step = std::get_if<api::Step>(&request)) {
        const auto found = keys_.find(step->key);
        if (found == keys_.end()) return refusal(CsError::NotExist, "no such key");
        if (!api::is_integer(found->second.type)) {
            return refusal(CsError::InvalidParam, "the key has no integer");
        }
        put(step->key, api::stepped(found->second, step->step), writes);
        return done();
    }
    const auto* all = std::get_if<api::Transaction>(&request);
    INVARIANT(all != nullptr);
    for (std::size_t i = 0; i < all->conditions.size(); ++i) {
        const api::Condition& condition = all->conditions[i];
        const auto found = keys_.find(condition.key);
        const bool holds =
            found == keys_.end() ? !condition.value : condition.value == found->second;
        if (!holds) {
            return answer_of(CsError::Exist,
                             api::Done{.failed_condition = static_cast<std::uint32_t>(i)});
        }
    }
    for (const api::Write& write : all->writes) {
        put(write.key, write.value, writes);
    }
    return done();
}

}  // namespace cmap
