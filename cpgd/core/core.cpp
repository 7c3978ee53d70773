#include "cpgd/core/core.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace cpg {

void Core::step(base::Instant now, const Event& event, std::vector<Action>& actions) {
    Context context{.now = now, .actions = actions};
    std::visit([&](const auto& what) { on(context, what); }, event);
    while (!to_end_.empty()) {
        const SessionId id = *to_end_.begin();
        to_end_.erase(to_end_.begin());
        const auto client = clients_.find(id);
        if (client == clients_.end() || client->second.ending) continue;
        ++counters_.sessions_overflowed;
        end_session(context, id);
    }
    check_invariants();
}

void Core::on(Context& context, const RingAttached& attached) {
    is_attached_ = true;
    self_ = attached.self;
    if (!attached.resumed) start_afresh(context, attached.incarnation);
    if (!is_marker_awaited_ || is_marker_sent_) return;
    is_marker_sent_ = true;
    // Before anything else of this life.
    INVARIANT(unordered_.empty() && last_number_ == 0);
    const Batch batch{.incarnation = incarnation_,
                      .place = {.life = life_, .number = ++last_number_},
                      .records = {Marker{.nonce = life_}}};
    unordered_.push_back(encode_batch(batch));
    if (!is_again_due_) context.actions.emplace_back(Submit{.payload = unordered_.back()});
}

// For the others we went and come again, as after a partition in which we were alone. What we had
// submitted may be lost with the old attachment, or others may have had it: once we know which, it
// is submitted again.
void Core::start_afresh(Context& context, protocol::Incarnation incarnation) {
    if (is_marker_awaited_) {
        // Before anything is told here: in their place the clients may have had other events.
        for (auto& [id, client] : clients_) {
            if (!client.sure_events) client.sure_events = client.next_event - 1;
        }
    }
    if (exchange_) abort_exchange(context);
    if (is_marker_awaited_) {
        // Those that begin with what the exchange held had their events, if any, in the former
        // life.
        for (auto& [id, client] : clients_) {
            if (!client.sure_events) client.sure_events = 0;
        }
        // What the former life told its clients after the snapshot nobody knows, and nobody can
        // tell it again: some would go on in another order than the others had.
        if (!is_whole_) forget_unsure_sessions(context);
    }
    incarnation_ = incarnation;
    applied_ = {};
    came_along_.reset();
    std::set<base::NodeId> others;
    for (const auto& [node, life] : known_) {
        if (node != self_) others.insert(node);
    }
    forget_nodes(context, others);
    view_ = {};
    is_again_due_ = true;
    if (is_marker_awaited_) return;
    // A life that begins with nothing misses nothing of those before.
    const Place begin{.life = life_, .number = 0};
    Progress& own = had_[self_];
    if (own.last.life != life_) own = {.last = begin, .former = begin};
}

void Core::submit_again(Context& context) {
    if (!is_again_due_) return;
    is_again_due_ = false;
    for (base::Buffer& batch : unordered_) {
        batch = with_incarnation(batch, incarnation_);
        context.actions.emplace_back(Submit{.payload = batch});
    }
}

void Core::on(Context& context, const RingHappened& happened) {
    const auto& [cursor, what] = happened.event;
    INVARIANT(cursor.value() == applied_.value() + 1);
    applied_ = cursor;
    if (const auto* batch = std::get_if<protocol::Batch>(&what)) {
        on_batch(context, *batch);
    } else if (const auto* view = std::get_if<protocol::View>(&what)) {
        on_view(context, *view);
    } else {
        const auto& members = std::get<protocol::Transitional>(what).members;
        came_along_.emplace(members.begin(), members.end());
    }
}

void Core::on(Context& context, const TimePassed&) {
    std::vector<SessionId> late;
    for (const auto& [id, client] : clients_) {
        const auto deadline = deadline_of(client);
        if (!deadline || *deadline > context.now) continue;
        if (!client.orphaned_until) ++counters_.sessions_stuck;
        late.push_back(id);
    }
    for (const SessionId id : late) {
        end_session(context, id);
    }
}

// Until the former life is settled no client can come back, so that time does not count.
std::optional<base::Instant> Core::deadline_of(const ClientSession& client) const {
    if (client.ending || is_marker_awaited_) return std::nullopt;
    if (client.orphaned_until) return client.orphaned_until;
    if (client.is_slow) return client.progress + config_.stuck_time;
    return std::nullopt;
}

std::optional<base::Instant> Core::next_deadline() const {
    std::optional<base::Instant> next;
    for (const auto& [id, client] : clients_) {
        const auto deadline = deadline_of(client);
        if (deadline && (!next || *deadline < *next)) next = deadline;
    }
    return next;
}

void Core::flush(base::Instant now, std::size_t room, std::vector<Action>& actions) {
    Context context{.now = now, .actions = actions};
    count_users();
    end_greedy_sessions(context);
    if (is_flow_due_ && !is_marker_awaited_) {
        submit_flow();
        is_flow_due_ = false;
        is_window_due_ = true;
    }
    send_credit(context);
    is_window_due_ = false;
    submit_pending(context, room);
    check_invariants();
}

// As few batches as their size allows, now: an idle system does not wait for more. What is longer
// than the room goes when nothing else is under way. During an exchange nothing goes: it would wait
// behind it at every member.
void Core::submit_pending(Context& context, std::size_t room) {
    if (!is_attached_ || is_again_due_ || exchange_) return;
    while (!pending_.empty()) {
        const std::size_t limit = std::min(room, config_.batch_bytes);
        Batch batch{.incarnation = incarnation_,
                    .place = {.life = life_, .number = last_number_ + 1},
                    .records = {}};
        bool safe = false;
        std::size_t bytes = kBatchHeaderBytes;
        while (!pending_.empty()) {
            const std::size_t more = encoded_bytes_max(pending_.front().record);
            const bool may_exceed =
                batch.records.empty() && (bytes + more <= room || unordered_.empty());
            if (bytes + more > limit && !may_exceed) break;
            bytes += more;
            safe = safe || pending_.front().safe;
            batch.records.push_back(pending_.pop(more).record);
        }
        if (batch.records.empty()) return;
        last_number_ = batch.place.number;
        base::Buffer payload = encode_batch(batch);
        room -= std::min(room, bytes);
        unordered_.push_back(payload);
        ++counters_.batches_submitted;
        context.actions.emplace_back(Submit{.payload = std::move(payload), .safe = safe});
    }
}

void Core::check_invariants() const {
    INVARIANT(!exchange_ || is_attached_);
    INVARIANT(waiting_.empty() || is_marker_awaited_);
    INVARIANT(to_end_.empty());
}

}  // namespace cpg
