// From the queue to the database, and from there to the truth.
#include <algorithm>

#include "cmapd/core/core.hpp"

namespace cmap {
namespace {

namespace api = protocol::cmap;

constexpr const char* kNoKey = "no such key";

Answered answered_of(std::uint64_t number, CsError error, const api::Answer& answer) {
    return {.number = number, .error = error, .payload = api::encode(answer)};
}

// The place that a client's write is for: its keys live in one.
Place place_of_write(const api::Request& request) {
    if (const auto* set = std::get_if<api::Set>(&request)) return place_of(set->key);
    if (const auto* gone = std::get_if<api::Delete>(&request)) return place_of(gone->key);
    if (const auto* step = std::get_if<api::Step>(&request)) return place_of(step->key);
    const auto& all = std::get<api::Transaction>(request);
    return place_of(all.writes.empty() ? all.conditions.front().key : all.writes.front().key);
}

}  // namespace

bool Core::may_try_state(base::Instant now) const {
    return !state_error_ || !retry_state_at_ || *retry_state_at_ <= now;
}

const Commit* Core::prepare(base::Instant now) {
    const bool tries_state = may_try_state(now);
    const bool saves_cluster = is_cluster_unsaved_ && tries_state;
    const bool is_due = !waiting_.empty() || (is_replica_due_ && tries_state) ||
                        !forgotten_.empty() || saves_cluster;
    if (!is_due) return nullptr;
    keys_.discard();
    said_.clear();
    commit_ = {};
    commit_.forgotten = forgotten_;
    commit_.journal_floor = journal_.floor();
    if (tries_state) state_error_.reset();  // For the staging: it may be well by now.
    for (const Waiting& waiting : waiting_) {
        std::visit([&](const auto& what) { stage(what); }, waiting);
    }
    split_staged(tries_state);
    return &commit_;
}

void Core::split_staged(bool tries_state) {
    bool leaves_out = false;
    for (const Change& change : keys_.staged()) {
        const bool is_state = place_of(change.key) != Place::RunTime;
        if (is_state && !tries_state) {
            leaves_out = true;  // Of the cluster: it has happened, and is stored when that can be.
        } else {
            (is_state ? commit_.state : commit_.run_time).changes.push_back(change);
        }
    }
    if (leaves_out) is_cluster_unsaved_ = true;
    if (!tries_state) return;
    commit_.rewrites_cluster = is_cluster_unsaved_;
    if (is_replica_due_ || is_cluster_unsaved_) commit_.replica = replica_.stored();
    commit_total_ = replica_.total();
}

void Core::committed(base::Instant now, const std::optional<std::string>& state_error,
                     std::vector<Action>& actions) {
    Context context{.now = now, .actions = actions};
    if (state_error) {
        ++counters_.commits_failed;
        state_error_ = state_error;
        retry_state_at_ = now + kStateRetry;
        return;
    }
    ++counters_.commits;
    forgotten_.clear();
    if (commit_.replica) is_replica_due_ = false;
    if (commit_.rewrites_cluster) is_cluster_unsaved_ = false;
    waiting_.clear();
    if (commit_.configured) configured_ = *commit_.configured;
    std::vector<Change> changes = keys_.commit();
    for (Said& said : std::exchange(said_, {})) {
        answer(context, {.session = said.session, .number = said.number, .payload = {}},
               said.answer.error, said.answer.payload);
        cluster_writes_.erase({said.session, said.number});
        std::erase_if(cluster_reads_, [&](const ClusterRead& read) {
            return read.session == said.session && read.number == said.number;
        });
    }
    for (const auto* stores : {&commit_.run_time, &commit_.state}) {
        for (const auto& [session, answered] : stores->answered) {
            answered_.insert_or_assign(session, answered);
        }
    }
    for (Change& change : changes) {
        ++counters_.changes;
        tell(context, Map::Icmap, change);
        journal_.add(change);
    }
    if (!changes.empty()) actions.emplace_back(Observe{.changes = std::move(changes)});
    tell_stored(context);
}

// With a disk that refuses this node counts as if it had stored: the others go on, and it says so.
void Core::tell_stored(Context& context) {
    Replica::Out out;
    if (commit_.replica) {
        replica_.was_stored(commit_total_, out);
    } else if (state_error_) {
        replica_.was_stored(replica_.total(), out);
    }
    take(context, std::move(out));
}

void Core::tell(Context& context, Map map, const Change& change) {
    for (const Trackers::Tracker& tracker : trackers_.find(map, change)) {
        ++counters_.notifications;
        context.actions.emplace_back(
            Tell{.session = tracker.session,
                 .payload = api::encode(api::Changed{.track = tracker.track,
                                                     .revision = change.revision,
                                                     .kind = kind_of(change),
                                                     .key = change.key,
                                                     .old_value = change.old_value,
                                                     .new_value = change.new_value})});
    }
}

// ---------------------------------------------------------------- one of the queue

void Core::say(const ClientWrite& write, Answered answer) {
    Stores& stores =
        place_of_write(write.request) == Place::RunTime ? commit_.run_time : commit_.state;
    const bool is_stored = write.number != 0 && answer.error != CsError::NoSpace;
    if (is_stored) stores.answered.insert_or_assign(write.session, answer);
    said_.push_back(
        {.session = write.session, .number = write.number, .answer = std::move(answer)});
}

void Core::stage(const ClientWrite& write) {
    // A client that lost its connection asks again before the first one is stored.
    const auto again = std::ranges::find_if(said_, [&](const Said& said) {
        return said.session == write.session && said.number == write.number;
    });
    if (write.number != 0 && again != said_.end()) return;
    const auto done = [&](CsError error, const api::Answer& answer) {
        say(write, answered_of(write.number, error, answer));
    };
    if (state_error_ && place_of_write(write.request) != Place::RunTime) {
        return done(CsError::NoSpace, api::Refusal{.reason = *state_error_});
    }
    if (const auto* set = std::get_if<api::Set>(&write.request)) {
        (void)keys_.stage(set->key, set->value);  // Whether it changes anything is no matter.
        return done(CsError::Ok, api::Done{});
    }
    if (const auto* gone = std::get_if<api::Delete>(&write.request)) {
        const bool was_there = keys_.stage(gone->key, std::nullopt);
        return was_there ? done(CsError::Ok, api::Done{})
                         : done(CsError::NotExist, api::Refusal{.reason = kNoKey});
    }
    if (const auto* step = std::get_if<api::Step>(&write.request)) {
        const Value* value = keys_.find_staged(step->key);
        if (value == nullptr) return done(CsError::NotExist, api::Refusal{.reason = kNoKey});
        if (!api::is_integer(value->type)) {
            return done(CsError::InvalidParam, api::Refusal{.reason = "the key has no integer"});
        }
        (void)keys_.stage(step->key, api::stepped(*value, step->step));  // As above.
        return done(CsError::Ok, api::Done{});
    }
    const auto& all = std::get<api::Transaction>(write.request);
    for (std::size_t i = 0; i < all.conditions.size(); ++i) {
        const Value* value = keys_.find_staged(all.conditions[i].key);
        const auto& wanted = all.conditions[i].value;
        const bool holds = value == nullptr ? !wanted : wanted == *value;
        if (holds) continue;
        return done(CsError::Exist, api::Done{.failed_condition = static_cast<std::uint32_t>(i)});
    }
    for (const api::Write& each : all.writes) {
        (void)keys_.stage(each.key, each.value);  // As above.
    }
    done(CsError::Ok, api::Done{});
}

void Core::stage(const OwnWrites& writes) {
    for (const api::Write& each : writes.writes) {
        (void)keys_.stage(each.key, each.value);  // Whether it changes anything is no matter.
    }
}

void Core::stage(const Configured& configured) {
    const std::vector<std::string>& former = commit_.configured ? *commit_.configured : configured_;
    for (const std::string& key : former) {
        if (!configured.keys.contains(key)) (void)keys_.stage(key, std::nullopt);  // As above.
    }
    std::vector<std::string> names;
    for (const auto& [key, value] : configured.keys) {
        (void)keys_.stage(key, value);  // As above.
        names.push_back(key);
    }
    commit_.configured = std::move(names);
}

void Core::stage(const Replica::Apply& apply) {
    for (const api::Write& each : apply.writes) {
        (void)keys_.stage(each.key, each.value);  // As above.
    }
    for (const Replica::Answered& answered : apply.answers) {
        said_.push_back(
            {.session = answered.session,
             .number = answered.number,
             .answer = {
                 .number = answered.number, .error = answered.error, .payload = answered.payload}});
    }
}

}  // namespace cmap
