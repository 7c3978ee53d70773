// What cmapd decides: keys, who may change them, who is told. Pure: events and the time come in,
// actions go out.
//
// Nothing is true before it is stored. Requests that change something wait in a queue; at the end
// of a turn prepare() says what is to be stored for them, the driver stores it, and committed()
// makes it true, answers, and tells the trackers.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "cmapd/core/events.hpp"
#include "cmapd/core/journal.hpp"
#include "cmapd/core/keys.hpp"
#include "cmapd/core/replica.hpp"
#include "cmapd/core/trackers.hpp"
#include "common/base/instant.hpp"

namespace cmap {

struct Counters {
    std::uint64_t gets = 0;
    std::uint64_t cluster_reads = 0;  // That waited for a mark in the order.
    std::uint64_t sets = 0;
    std::uint64_t deletes = 0;
    std::uint64_t steps = 0;
    std::uint64_t transactions = 0;
    std::uint64_t iterations = 0;
    std::uint64_t changes = 0;
    std::uint64_t notifications = 0;
    std::uint64_t commits = 0;
    std::uint64_t commits_failed = 0;
    std::uint64_t repeats_answered = 0;  // Requests that a restart cut off, and that were done.
    std::uint64_t malformed = 0;
};

class Core {
  public:
    // Statistics are asked for anew when the last answer is older; trackers of them get theirs so
    // often.
    static constexpr base::Duration kStatsFresh = std::chrono::milliseconds{200};
    static constexpr base::Duration kStatsPeriod = std::chrono::milliseconds{1'500};
    // A write to the cluster that has no place in the order by then has failed.
    static constexpr base::Duration kClusterWriteTime = std::chrono::seconds{10};
    // A read of the cluster has changed nothing: who gives up early loses little.
    static constexpr base::Duration kClusterReadTime = std::chrono::seconds{5};
    static constexpr base::Duration kStateRetry = std::chrono::seconds{1};
    static constexpr std::size_t kGoneMax = 1024;

    // What was stored by a former life.
    struct Stored {
        std::vector<std::pair<std::string, Entry>> keys;
        Revision revision{};
        Revision journal_floor{};
        std::vector<Change> journal;  // In order.
        std::map<SessionId, Answered> answered;
        std::vector<std::string> configured;
        std::optional<base::Buffer> replica;
    };
    // `nodes`: of the node list; 0: unknown.
    Core(Stored stored, std::size_t nodes);

    void step(base::Instant now, const Event& event, std::vector<Action>& actions);

    // What is to be stored now; nothing: nothing waits.
    [[nodiscard]] const Commit* prepare(base::Instant now);
    // It was stored, or (`state_error`, for people) the state was not: then only prepare() again
    // says what of it is left.
    void committed(base::Instant now, const std::optional<std::string>& state_error,
                   std::vector<Action>& actions);

    // The next time at which TimePassed is wanted. Nothing: never.
    [[nodiscard]] std::optional<base::Instant> next_deadline() const;

    [[nodiscard]] const Keys& keys() const { return keys_; }
    [[nodiscard]] const Replica& replica() const { return replica_; }
    [[nodiscard]] const Counters& counters() const { return counters_; }
    [[nodiscard]] std::size_t trackers() const { return trackers_.count(); }
    [[nodiscard]] const std::optional<std::string>& state_error() const { return state_error_; }

  private:
    struct Context {
        base::Instant now{};
        std::vector<Action>& actions;
    };
    // A client's request that changes something.
    struct ClientWrite {
        SessionId session{};
        std::uint64_t number = 0;
        protocol::cmap::Request request;
    };
    using Waiting = std::variant<ClientWrite, OwnWrites, Configured, Replica::Apply>;
    // What will be said once it is stored.
    struct Said {
        SessionId session{};
        std::uint64_t number = 0;
        Answered answer;
    };
    struct ClusterWrite {
        protocol::cmap::Request request;
        base::Instant give_up_at{};
    };
    struct ClusterRead {
        SessionId session{};
        std::uint64_t number = 0;
        base::Instant give_up_at{};
    };

    // core_session.cpp
    void on(Context& context, const SessionOpened& opened);
    void on(Context& context, const SessionClosed& closed);
    void on(Context& context, const Asked& asked);
    void on(Context& context, const OwnWrites& writes);
    void on(Context& context, const Configured& configured);
    void on(Context& context, const StatsCollected& collected);
    void on(Context& context, const TimePassed& passed);
    void on(Context& context, const RingAttached& attached);
    void on(Context& context, const RingHappened& happened);
    void on(Context& context, const QuorumChanged& changed);
    void on(Context& context, const QuorumUncounted& uncounted);
    void on(Context& context, const NodesChanged& changed);

    void serve(Context& context, const Asked& asked, const protocol::cmap::Get& get);
    void serve(Context& context, const Asked& asked, const protocol::cmap::Iterate& iterate);
    void serve(Context& context, const Asked& asked, const protocol::cmap::List& list);
    void serve(Context& context, const Asked& asked, const TrackAdd& add);
    void serve(Context& context, const Asked& asked, const protocol::cmap::TrackDelete& gone);
    void serve(Context& context, const Asked& asked, const protocol::cmap::Set& set);
    void serve(Context& context, const Asked& asked, const protocol::cmap::Delete& gone);
    void serve(Context& context, const Asked& asked, const protocol::cmap::Step& step);
    void serve(Context& context, const Asked& asked, const protocol::cmap::Transaction& all);
    // Queues what changes something, here or in the cluster.
    void enqueue(Context& context, const Asked& asked, protocol::cmap::Request request);
    // core_reads.cpp
    // Of the keys of the cluster: answered when this node has what was written before now.
    void enqueue_cluster_read(Context& context, const Asked& asked,
                              protocol::cmap::Request request);
    void refuse_cluster_reads(Context& context);
    void enqueue_cluster_write(Context& context, const Asked& asked,
                               protocol::cmap::Request request);
    bool is_repeat(Context& context, const Asked& asked);
    void answer(Context& context, const Asked& asked, CsError error,
                const base::Buffer& payload = {});
    void refuse(Context& context, const Asked& asked, CsError error, const char* reason);
    void tell_missed(Context& context, SessionId session, const TrackAdd& add);

    // core_stats.cpp
    // False: the request waits for statistics that are fresh.
    bool are_stats_fresh(Context& context, const Asked& asked);
    void collect_stats(Context& context);
    void clear_stats(Context& context, const Asked& asked, const protocol::cmap::Set& set);

    // core_commit.cpp
    void stage(const ClientWrite& write);
    void stage(const OwnWrites& writes);
    void stage(const Configured& configured);
    void stage(const Replica::Apply& apply);
    void say(const ClientWrite& write, Answered answer);
    void tell(Context& context, Map map, const Change& change);
    // What the replica wants done.
    void take(Context& context, Replica::Out out);
    [[nodiscard]] bool may_try_state(base::Instant now) const;
    void split_staged(bool tries_state);
    void tell_stored(Context& context);

    Keys keys_;
    Journal journal_;
    Trackers trackers_;
    Replica replica_;
    std::map<SessionId, Answered> answered_;
    std::vector<std::string> configured_;

    std::deque<Waiting> waiting_;
    Commit commit_;
    std::vector<Said> said_;
    std::vector<SessionId> forgotten_;
    std::deque<SessionId> gone_;     // May come back; the last kGoneMax.
    std::set<SessionId> returning_;  // Came back, and have asked for no change yet.
    bool is_replica_due_ = false;    // Its own part changed.
    // The state can't be stored; why. Keys of the state can't be changed meanwhile.
    std::optional<std::string> state_error_;
    bool is_cluster_unsaved_ = false;
    std::optional<base::Instant> retry_state_at_;

    std::map<std::pair<SessionId, std::uint64_t>, ClusterWrite> cluster_writes_;
    std::deque<ClusterRead> cluster_reads_;  // The oldest first.
    std::uint64_t commit_total_ = 0;         // Of the replica in commit_.

    Values stats_;
    std::optional<base::Instant> stats_at_;
    bool is_collecting_ = false;
    std::vector<Asked> waiting_for_stats_;
    std::optional<base::Instant> collect_at_;

    Counters counters_;
};

}  // namespace cmap
