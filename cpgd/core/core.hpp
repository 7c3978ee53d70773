// The deciding part of cpgd: closed process groups over the ordered channel. Pure: what happens
// comes in with the time, what is to be done goes out.
//
// How to drive it: give each Event to step() with the time and carry out the Actions in order.
// When everything that is there has been given, call flush() with the room that the channel has;
// again when the room grows. Wake up at next_deadline() and give TimePassed. It holds no clock and
// no random numbers: copying it forks the daemon.
//
// The groups are a deterministic fold of the channel's stream (groups.hpp). After a view that
// brings nodes whose groups are unknown, every member multicasts what it brings (State); until all
// have come, whatever else is in the order waits behind. A view that comes earlier ends that: what
// waits is then applied as if the view had never been, by those and for those who knew each other
// before it, and everything is said again.
//
// A restart: snapshot() holds the fold and the events that clients have not acknowledged.
// restore() and the stream after applied() give the same core; what was submitted in the former
// life is settled once a Marker comes back, and clients that come back are served from then on.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/instant.hpp"
#include "common/base/result.hpp"
#include "cpgd/core/client_session.hpp"
#include "cpgd/core/cs_error.hpp"
#include "cpgd/core/events.hpp"
#include "cpgd/core/groups.hpp"
#include "cpgd/core/pending_queue.hpp"
#include "cpgd/core/status.hpp"

namespace cpg {

struct Config {
    SessionLimits session;
    std::size_t batch_bytes = std::size_t{256} << 10u;  // A longer record goes alone.
    // A session that is above high_bytes and acknowledges nothing for this long ends: its group
    // waits for it.
    base::Duration stuck_time = std::chrono::seconds{20};
    // Of all sessions of one user together; a session's window is at most its share. Who sends on
    // regardless loses the session at four times as much.
    std::size_t user_window_bytes = std::size_t{16} << 20u;
    // Events not acknowledged, of all sessions of one user: above it the largest of them end.
    std::size_t user_queued_bytes = std::size_t{128} << 20u;
    // How long a session waits for its client to come back, when the process still lives.
    base::Duration grace_time = std::chrono::seconds{5};
};

class Core {
  public:
    // `life`: the time of the daemon's start in ns since the epoch; no other life on this node has
    // the same.
    Core(const Config& config, std::uint64_t life) : config_(config), life_(life) {}

    void step(base::Instant now, const Event& event, std::vector<Action>& actions);

    // Sends credit, and submits what the clients sent, as far as `room` bytes of the channel allow.
    void flush(base::Instant now, std::size_t room, std::vector<Action>& actions);

    [[nodiscard]] std::optional<base::Instant> next_deadline() const;

    // The last event of the channel that is in the state.
    [[nodiscard]] protocol::Cursor applied() const { return applied_; }
    [[nodiscard]] protocol::Incarnation incarnation() const { return incarnation_; }
    // Clients are served: the groups are known, and what a former life sent is settled.
    [[nodiscard]] bool is_serving() const { return is_synchronised_ && !is_marker_awaited_; }

    // Only between exchanges: while one runs, take it later. Else it aborts.
    [[nodiscard]] bool can_snapshot() const { return !exchange_ && applied_ > protocol::Cursor{}; }
    // `is_last`: nothing happens after it in this life, no client is told any more.
    [[nodiscard]] std::vector<base::Buffer> snapshot(bool is_last = false) const;
    // The snapshot that it began with was the last of the former life. The first thing to do then
    // is to store another one: of a life that went on, a later one must not be taken for it.
    [[nodiscard]] bool is_whole() const { return is_whole_; }
    // A snapshot without the events of clients: true as soon as they have acknowledged all that
    // they were given until now, so that nothing of it needs to be copied.
    struct Draft {
        std::vector<base::Buffer> snapshot;
        protocol::Cursor applied{};
        std::vector<std::pair<SessionId, std::uint64_t>> given;  // The last event of each session.
    };
    [[nodiscard]] Draft draft() const;
    // Of this core, or of one that it was moved from.
    [[nodiscard]] bool holds(const Draft& draft) const;
    // About its size: what it holds of the clients' events.
    [[nodiscard]] std::size_t queued_bytes() const;
    // Clients of a former life that have not come back: what they have had meanwhile is not known.
    [[nodiscard]] std::size_t awaited_clients() const;
    static base::Expected<Core, protocol::FrameError> restore(const Config& config,
                                                              const base::Buffer& snapshot,
                                                              base::Instant now,
                                                              std::uint64_t life);

    // Who has this connection may come back for its session when it is gone.
    [[nodiscard]] bool may_come_back(ConnectionId connection) const;

    [[nodiscard]] Status status() const;

  private:
    struct Context {
        base::Instant now{};
        std::vector<Action>& actions;
    };
    struct Connection {
        std::uint32_t uid = 0;
        std::uint32_t kernel_pid = 0;
        SessionId fresh_session{};
        SessionId session{};  // 0: not yet.
        bool takes_runs = false;
    };
    // What the sessions of one user come to.
    struct User {
        std::size_t sessions = 0;
        std::size_t sessions_before = 0;  // When they were counted last.
        std::size_t outstanding_bytes = 0;
        std::size_t queued_bytes = 0;
    };
    struct Brought {
        std::vector<SessionState> sessions;
        std::vector<std::string> stopped_groups;
        std::map<base::NodeId, Progress> had;
        std::uint64_t life = 0;
        std::uint32_t parts = 0;
        bool is_whole = false;
    };
    struct HeldBatch {
        base::NodeId sender{};
        Place place;
        std::vector<Record> records;
        std::size_t bytes = 0;
    };
    // The barrier after a view.
    struct Exchange {
        std::map<base::NodeId, Brought> brought;
        std::vector<HeldBatch> held;
        // Nodes of which others had more than they have themselves. Once all have said what they
        // bring, these catch up and say it again.
        std::optional<std::set<base::NodeId>> lagging;
    };

    // core.cpp
    void on(Context& context, const RingAttached& attached);
    void on(Context& context, const RingHappened& happened);
    void on(Context& context, const TimePassed& passed);
    void start_afresh(Context& context, protocol::Incarnation incarnation);
    void submit_pending(Context& context, std::size_t room);
    [[nodiscard]] std::optional<base::Instant> deadline_of(const ClientSession& client) const;
    void check_invariants() const;

    // core_view.cpp
    void on_view(Context& context, const protocol::View& view);
    [[nodiscard]] std::set<base::NodeId> lost_in(const protocol::View& view) const;
    void on_batch(Context& context, const protocol::Batch& batch);
    void on_state(Context& context, base::NodeId sender, std::uint64_t life, State state);
    [[nodiscard]] std::set<base::NodeId> lagging_nodes() const;
    void part_from_lagging_nodes(Context& context);
    void catch_up(Context& context);
    void forget_unsure_sessions(Context& context);
    void take_over_from_former_life(Context& context, const Brought& brought);
    void submit_again(Context& context);
    void forget_nodes(Context& context, const std::set<base::NodeId>& nodes);
    void begin_exchange(Context& context);
    void abort_exchange(Context& context);
    void finish_exchange(Context& context);
    void install_view(Context& context);
    void submit_state(Context& context);
    [[nodiscard]] bool knows_all_of_view() const;

    // core_record.cpp
    void apply(Context& context, const HeldBatch& batch);
    void apply(Context& context, base::NodeId sender, const Open& open);
    void apply(Context& context, base::NodeId sender, const Join& join);
    void apply(Context& context, base::NodeId sender, const Leave& leave);
    void apply(Context& context, base::NodeId sender, const End& end);
    void apply(Context& context, base::NodeId sender, const Mcast& mcast);
    void apply(Context& context, base::NodeId sender, const McastRun& run);
    // What came back to its sender's session is not outstanding any more.
    void take_back(base::NodeId sender, SessionId session, std::uint64_t last, std::size_t cost);
    void apply(Context& context, base::NodeId sender, const Flow& flow);
    void apply(Context& context, base::NodeId sender, const Marker& marker);
    void apply(Context& context, base::NodeId sender, const State& state);
    // One confchg to the group's members here, and to `leaver`, who is no member any more.
    void tell_group(Context& context, GroupIndex group, std::vector<protocol::cpg::Member> left,
                    std::vector<protocol::cpg::Member> joined,
                    const std::optional<Seat>& leaver = std::nullopt);
    void tell_left(Context& context, const std::vector<GroupChange>& changes,
                   protocol::cpg::Reason reason);
    void tell_totem(Context& context, ClientSession& session, GroupHandle handle);
    void reply(Context& context, const ClientSession& session, std::uint32_t request,
               CsError error);
    void send_event(Context& context, ClientSession& session, ClientSession::What what,
                    std::size_t held = 0);
    void send_queued(Context& context, const ClientSession& session,
                     const protocol::cpg::SessionEvent& event);
    [[nodiscard]] ClientSession* client_of(base::NodeId sender, SessionId session);
    // What several clients get of a batch, and its copy once one of them needs it.
    struct KeptPayload {
        base::Buffer payload;
        std::optional<base::Buffer> copy{};
    };
    // For the receiver's queue, and the memory that it keeps alive there.
    std::pair<base::Buffer, std::size_t> keep(ClientSession& receiver, KeptPayload& kept) const;

    // core_client.cpp
    void on(Context& context, const ClientConnected& connected);
    void on(Context& context, const ClientSent& sent);
    void on(Context& context, const ClientGone& gone);
    void on(Context& context, const ClientBroke& broke);
    void on(Context& context, const ProcessDied& died);
    void greet(Context& context, ConnectionId connection, const protocol::cpg::Hello& hello);
    void greet(Context& context, ConnectionId connection, const protocol::cpg::EventsHere& here);
    void welcome(Context& context, ClientSession& session, bool resumed, ConnectionId connection);
    void refuse(Context& context, ConnectionId connection, CsError error, const char* reason);
    void close(Context& context, std::optional<ConnectionId> connection);
    void resend_events(Context& context, ClientSession& session);
    // The client broke the rules of its connection.
    void break_off(Context& context, ConnectionId connection);
    ClientSession* session_of(const Connection& connection, SessionId id);
    void serve(Context& context, ConnectionId connection, ClientSession& session,
               const protocol::cpg::Hello& hello);
    void serve(Context& context, ConnectionId connection, ClientSession& session,
               const protocol::cpg::EventsHere& here);
    void serve(Context& context, ConnectionId connection, ClientSession& session,
               const protocol::cpg::Join& join);
    void serve(Context& context, ConnectionId connection, ClientSession& session,
               const protocol::cpg::Leave& leave);
    void serve(Context& context, ConnectionId connection, ClientSession& session,
               const protocol::cpg::MembershipGet& get);
    void serve(Context& context, ConnectionId connection, ClientSession& session,
               const protocol::cpg::GroupsGet& get);
    void serve(Context& context, ConnectionId connection, ClientSession& session,
               const protocol::cpg::Mcast& mcast);
    void serve(Context& context, ConnectionId connection, ClientSession& session,
               const protocol::cpg::McastRun& run);
    // One or more multicasts from `number` on. False: the client broke the rules.
    struct Sent {
        std::uint64_t number = 0;
        std::size_t count = 0;
        std::size_t payload_bytes = 0;
        bool is_inside_message = false;  // After it.
    };
    bool take_in(ClientSession& session, const Sent& sent);
    void serve(Context& context, ConnectionId connection, ClientSession& session,
               const protocol::cpg::EventAck& ack);
    void serve(Context& context, ConnectionId connection, ClientSession& session,
               const protocol::cpg::Goodbye& goodbye);
    void serve(Context& context, ConnectionId connection, ClientSession& session,
               const protocol::cpg::Keep& keep);
    [[nodiscard]] CsError may_join(const ClientSession& session,
                                   const protocol::cpg::Join& join) const;
    void end_abandoned(Context& context, const ClientSession& session, const std::string& group);
    [[nodiscard]] CsError may_leave(const ClientSession& session,
                                    const protocol::cpg::Leave& leave) const;
    bool is_repeat(Context& context, const ClientSession& session, std::uint32_t request);
    [[nodiscard]] std::vector<protocol::cpg::Member> members_of(GroupIndex index) const;
    void append(ClientSession& session, Record record, bool safe = false);
    // The session may be gone after this.
    void end_session(Context& context, SessionId id);
    void orphan(Context& context, ClientSession& session);

    // core_flow.cpp
    template <class WriteClient>
    [[nodiscard]] std::vector<base::Buffer> snapshot_with(bool is_last,
                                                          WriteClient write_client) const;
    void look_at_queue(Context& context, ClientSession& session);
    void submit_flow();
    void count_users();
    void end_greedy_sessions(Context& context);
    void send_credit(Context& context);
    [[nodiscard]] bool is_stopped(const ClientSession& session) const;
    [[nodiscard]] std::size_t share_of(const User& user) const;
    [[nodiscard]] std::size_t window_of(const ClientSession& session) const;

    [[nodiscard]] SessionKey key_of(const ClientSession& session) const {
        return {self_, session.id};
    }
    [[nodiscard]] bool knows(const protocol::ViewMember& member) const;

    Config config_;
    std::uint64_t life_ = 0;
    base::NodeId self_{};
    protocol::Incarnation incarnation_{};
    protocol::Cursor applied_{};
    bool is_attached_ = false;
    bool is_synchronised_ = false;
    bool is_marker_awaited_ = false;  // Since a restart.
    bool is_marker_sent_ = false;
    bool is_whole_ = false;  // The snapshot that it began with was the last of the former life.

    protocol::View view_;
    std::optional<std::set<base::NodeId>> came_along_;  // Of the last transitional configuration.
    // Nodes whose groups are in groups_, with the life they were learnt in. All of them have the
    // same set.
    std::map<base::NodeId, protocol::Incarnation> known_;
    std::map<base::NodeId, Progress> had_;  // Of each node's batches, what is in the fold.
    std::optional<Exchange> exchange_;
    bool is_totem_due_ = false;  // Nodes went or came since the last TotemConfchg.
    // What the last TotemConfchg says: of the last view whose groups are known.
    base::RingId told_ring_{};
    std::vector<base::NodeId> told_nodes_;
    Groups groups_;

    std::map<ConnectionId, Connection> connections_;
    std::map<SessionId, ClientSession> clients_;
    std::map<std::uint32_t, User> users_;  // By uid. Counted in each flush().
    std::vector<std::pair<ConnectionId, protocol::cpg::ClientFrame>> waiting_;  // For the marker.

    PendingQueue pending_;                // Not submitted yet.
    std::deque<base::Buffer> unordered_;  // Submitted, not in the order yet.
    std::uint64_t last_number_ = 0;       // Of our batches.
    bool is_again_due_ = false;           // What was submitted before the attachment was lost.
    std::set<std::string> stops_;         // Groups that we have said to stop.
    bool is_flow_due_ = false;            // Slowness, stops or members changed.
    bool is_window_due_ = false;          // While flush() runs: windows may have changed.
    std::set<SessionId> to_end_;          // Found above its bound in the midst of a record.

    // While a batch is applied: its size, until a queue holds it.
    std::size_t batch_bytes_ = 0;
    std::uint64_t batch_count_ = 0;
    Counters counters_;
};

}  // namespace cpg
