#include "cmapd/core/core.hpp"

#include <algorithm>

namespace cmap {
namespace {

Replica::Values cluster_keys(const std::vector<std::pair<std::string, Entry>>& keys) {
    Replica::Values values;
    for (const auto& [key, entry] : keys) {
        if (place_of(key) == Place::Cluster) values.emplace(key, entry.value);
    }
    return values;
}

}  // namespace

Core::Core(Stored stored, std::size_t nodes)
    : replica_(stored.replica, cluster_keys(stored.keys), nodes),
      answered_(std::move(stored.answered)),
      configured_(std::move(stored.configured)) {
    for (auto& [key, entry] : stored.keys) {
        keys_.load(std::move(key), std::move(entry));
    }
    // 0 is no revision: a tracker that begins before the first change has one to come back with.
    keys_.load_revision(std::max(stored.revision, Revision{1}));
    journal_.begin_at(stored.journal_floor);
    for (Change& change : stored.journal) {
        keys_.load_revision(change.revision);
        journal_.add(std::move(change));
    }
    for (const auto& [session, answered] : answered_) {
        gone_.push_back(session);
    }
}

void Core::step(base::Instant now, const Event& event, std::vector<Action>& actions) {
    Context context{.now = now, .actions = actions};
    replica_.pass_time(now);
    std::visit([&](const auto& what) { on(context, what); }, event);
}

std::optional<base::Instant> Core::next_deadline() const {
    std::optional<base::Instant> next = collect_at_;
    const auto consider = [&](base::Instant at) {
        if (!next || at < *next) next = at;
    };
    for (const auto& [id, write] : cluster_writes_) {
        consider(write.give_up_at);
    }
    if (!cluster_reads_.empty()) consider(cluster_reads_.front().give_up_at);
    if (is_cluster_unsaved_ && retry_state_at_) consider(*retry_state_at_);
    if (const auto end = replica_.lease_end()) consider(*end);
    return next;
}

void Core::on(Context& context, const TimePassed&) {
    if (collect_at_ && *collect_at_ <= context.now) {
        collect_at_.reset();
        collect_stats(context);
    }
    std::erase_if(cluster_writes_, [&](const auto& each) {
        const auto& [id, write] = each;
        if (write.give_up_at > context.now) return false;
        replica_.abandon(id.first, id.second);
        refuse(context, {.session = id.first, .number = id.second, .payload = {}}, CsError::Timeout,
               "no place in the cluster's order in time; it may still come");
        return true;
    });
    refuse_cluster_reads(context);
}

// ---------------------------------------------------------------- the daemon's own word

void Core::on(Context&, const OwnWrites& writes) {
    waiting_.emplace_back(writes);
}

void Core::on(Context&, const Configured& configured) {
    waiting_.emplace_back(configured);
}

// ---------------------------------------------------------------- the channel

void Core::on(Context&, const RingAttached& attached) {
    replica_.attached(attached.self, attached.resumed, attached.incarnation);
}

void Core::on(Context& context, const RingHappened& happened) {
    Replica::Out out;
    replica_.happened(happened.event, out);
    take(context, std::move(out));
}

void Core::on(Context& context, const QuorumChanged& changed) {
    Replica::Out out;
    replica_.quorum(changed.ring, changed.is_quorate, changed.until, out);
    take(context, std::move(out));
}

void Core::on(Context& context, const QuorumUncounted&) {
    Replica::Out out;
    replica_.uncounted(out);
    take(context, std::move(out));
}

void Core::on(Context& context, const NodesChanged& changed) {
    Replica::Out out;
    replica_.set_nodes(changed.nodes, out);
    take(context, std::move(out));
}

void Core::take(Context& context, Replica::Out out) {
    for (Replica::Out::Submit& submit : out.submits) {
        context.actions.emplace_back(Submit{
            .payload = std::move(submit.payload), .urgent = submit.urgent, .safe = submit.safe});
    }
    for (Replica::Apply& apply : out.applies) {
        waiting_.emplace_back(std::move(apply));
    }
    if (out.lost) {
        context.actions.emplace_back(KeysLost{.winner = out.lost->winner,
                                              .keys = std::move(out.lost->keys),
                                              .count = out.lost->count});
    }
    is_replica_due_ = is_replica_due_ || out.is_changed;
    if (!cluster_reads_.empty()) refuse_cluster_reads(context);
}

}  // namespace cmap
