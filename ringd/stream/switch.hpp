// Between the ring and the services of this node: who is attached to which channel (agreed by all
// members, in the order), events down with a cursor, submissions up with a number. Pure: frames and
// actions in, frames and submissions out. The rules and why: docs/ARCHITECTURE.md, the stream.
//
// What it keeps:
// - All members of a ring give a service the same Views and Batches in the same order, from the
//   View that it is first in.
// - After a configuration in which others came, each member first says what is attached on it;
//   items wait until all did. When the ring breaks before that, they are as if they had not been
//   ordered: each member submits its own again.
// - Of each service, items are delivered in the order of their numbers (urgent and ordinary ones
//   apart), none lost, none twice, as long as its attachment lasts. Before a service is detached
//   all that it submitted is ordered.
// - A service that comes back in time goes on after the event that it applied last.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/base/archive.hpp"
#include "common/base/instant.hpp"
#include "ringd/stream/event_log.hpp"
#include "ringd/stream/follower.hpp"
#include "ringd/stream/item.hpp"
#include "ringd/stream/membership.hpp"
#include "ringd/stream/status.hpp"
#include "ringd/stream/submissions.hpp"
#include "ringd/totem/actions.hpp"
#include "ringd/totem/events.hpp"

namespace stream {

using base::Duration;
using base::Instant;

// Chosen by the driver, never used twice.
using ConnectionId = base::Strong<struct ConnectionIdTag, std::uint64_t>;

struct SwitchConfig {
    base::NodeId self{};
    std::size_t window_bytes = std::size_t{3} << 20u;  // Submitted and not taken, a service.
    // Events kept for a service. Above a quarter of it nobody may send on its channel until they
    // are below a sixteenth; if that takes longer than `stall_max` the service is detached, as it
    // is above the whole while it has no connection, and above the hard bound always: what is under
    // way everywhere when the channel stops has its place below that.
    std::size_t retention_bytes_max = std::size_t{32} << 20u;
    std::size_t retention_bytes_hard = std::size_t{96} << 20u;
    std::size_t in_flight_bytes_max = std::size_t{1} << 20u;  // Sent and not received.
    // Events that a service does not have yet, sent or not: above it nobody may send on its channel
    // until they are below half of it. More would wait in memory that is in no cache.
    std::size_t waiting_bytes_max = std::size_t{4} << 20u;
    // Sent to an observer, which acknowledges nothing, and not in its socket yet: more ends it.
    std::size_t observer_bytes_max = std::size_t{16} << 20u;
    Duration grace = std::chrono::seconds(10);  // Without a connection.
    Duration stall_max = std::chrono::seconds(5);
};

// What of it may change while it runs. What was kept by larger limits is ended by the next event.
struct SwitchLimits {
    std::size_t retained_bytes_max = 0;
    std::size_t retained_bytes_hard = 0;
    Duration grace{};
};

struct SendFrame {
    ConnectionId to{};
    base::Buffer head;
    base::Buffer body;
    bool is_bounded = false;  // By SwitchConfig::observer_bytes_max: what is above it ends `to`.
};
// After what was sent to it. Don't say closed() for it.
struct CloseConnection {
    ConnectionId connection{};
};
using Output = std::variant<SendFrame, CloseConnection>;

class Switch {
  public:
    explicit Switch(const SwitchConfig& config);

    void set_limits(const SwitchLimits& limits);

    // ---- from the ring, in the order of its actions
    void install(Instant now, const totem::InstallConfiguration& configuration);
    void deliver(Instant now, const totem::Deliver& delivered);
    void taken(const totem::Taken& taken);

    // ---- from local connections. The first frame says what the connection is.
    void frame(Instant now, ConnectionId connection, const base::Buffer& frame);
    void closed(Instant now, ConnectionId connection);

    // ---- time
    [[nodiscard]] std::optional<Instant> next_deadline() const;
    void deadline_passed(Instant now);

    // What may go into the ring: at most `room` bytes, one item more when the ring has nothing of
    // ours. Room 0: nothing. Appends. Ask after each input and when the ring has room again.
    void take_submissions(std::size_t room, std::vector<totem::Submitted>& submissions);

    // What is to be sent to and done with connections, in order. Appends. Ask once a turn.
    void take_outputs(std::vector<Output>& outputs);
    // Some came up since then.
    [[nodiscard]] bool has_outputs() const { return !outputs_.empty(); }

    [[nodiscard]] Status status() const;

    // Its whole state as bytes, for a process that goes on when this one is killed:
    // docs/design/0004-resume.md. Needs: take_outputs() has just been called.
    void archive_to(base::ArchiveWriter& writer) const;
    // None: these bytes are no such state. Its connections are those that were; say closed() for
    // what is gone.
    [[nodiscard]] static std::optional<Switch> restore(const SwitchConfig& config,
                                                       base::ArchiveReader& reader);
    // Of those bytes: who gives another number can't read them (common/base/archive_shape.hpp).
    [[nodiscard]] static std::uint64_t layout();
    [[nodiscard]] std::vector<ConnectionId> connections() const;

  private:
    // One attachment of the local service, from its first frame to its ordered end.
    struct Life {
        Life() = default;
        explicit Life(protocol::Incarnation with) : incarnation(with) {}

        protocol::Incarnation incarnation{};
        Submissions submissions;
        EventLog log;
        Follower follower;
        std::optional<ConnectionId> connection;
        std::optional<Instant> grace_ends;  // While there is no connection.
        std::optional<Instant> stall_ends;  // While it stops its channel.
        bool attach_submitted = false;
        bool ending = false;  // Takes nothing more; detached when all its items have their place.
        bool detach_submitted = false;
        std::uint64_t taken_told = 0;
        std::uint64_t window_told = 0;

        template <class A>
        void archive(A& a) {
            a(incarnation, submissions, log, follower, connection, grace_ends, stall_ends,
              attach_submitted, ending, detach_submitted, taken_told, window_told);
        }
    };
    struct Observer {
        Follower follower;
        std::uint64_t cursor = 0;
        bool follows = false;  // Has its first View.

        template <class A>
        void archive(A& a) {
            a(follower, cursor, follows);
        }
    };
    struct Channel {
        Membership membership;
        // The first one is, or is to be, on the channel; the others wait until it is detached. Only
        // the last one is not ending.
        std::deque<Life> lives;
        std::map<ConnectionId, Observer> observers;
        std::set<base::NodeId> stopped;  // Members whose service can't keep up.
        bool stop_told = false;          // Ours can't, and we have said so.
        std::int64_t credit_bytes = 0;   // To submit in this round; below 0: taken in advance.

        template <class A>
        void archive(A& a) {
            a(membership, lives, observers, stopped, stop_told, credit_bytes);
        }
    };
    struct Connection {
        std::string channel;
        protocol::Attach::Role role = protocol::Attach::Role::Service;

        template <class A>
        void archive(A& a) {
            a(channel, role);
        }
    };
    using Channels = std::map<std::string, Channel, std::less<>>;

    // The exchange at the start of a ring.
    struct Exchange {
        std::set<base::NodeId> awaited;
        std::map<std::string, std::map<base::NodeId, Membership::Member>> attached;
        std::deque<totem::Deliver> held;

        template <class A>
        void archive(A& a) {
            a(awaited, attached, held);
        }
    };

    // But for its settings and counters, and what is on its way out.
    template <class A>
    void archive(A& a) {
        a(ring_, members_, transitional_, exchange_, channels_, connections_, control_, sync_,
          submitted_, taken_, next_channel_);
    }

    // switch_ring.cpp
    void start_exchange();
    void finish_exchange(Instant now);
    void throw_back(const std::deque<totem::Deliver>& held);
    void on_sync(Instant now, base::NodeId sender, const SyncItem& sync);
    void on_item(Instant now, const totem::Deliver& delivered, Item& item);
    void on_change(base::NodeId sender, const AttachItem& item);
    void on_change(base::NodeId sender, const DetachItem& item);
    void on_flow(base::NodeId sender, const FlowItem& item);
    void on_submit(Instant now, const totem::Deliver& delivered, protocol::Submit& submit);
    void issue_view(Channel& channel);
    void issue_view(Channel& channel, ConnectionId connection, Observer& observer);
    void tell_observer(ConnectionId connection, Observer& observer,
                       std::variant<protocol::Transitional, protocol::View, protocol::Batch> what);

    // switch_services.cpp
    void attach(Instant now, ConnectionId connection, const protocol::Attach& attach);
    void attach_service(Instant now, ConnectionId connection, const protocol::Attach& attach);
    void resume(Instant now, ConnectionId connection, Life& life, const protocol::Attach& attach);
    void on_frame(Instant now, ConnectionId from, Life& life, protocol::Submit& submit,
                  const base::Buffer& frame);
    void on_frame(Instant now, ConnectionId from, Life& life, const protocol::Ack& ack);
    void on_frame(Instant now, ConnectionId from, Life& life, const protocol::Received& received);
    void refuse(ConnectionId connection, bool afresh, std::string reason);
    void connect(ConnectionId connection, Life& life, bool resumed);
    void end(Life& life, const std::string& reason);
    void move_on(const std::string& name, Channel& channel);
    void watch_retention(Instant now, const std::string& name, Channel& channel);
    void tell_stop(const std::string& name, Channel& channel, bool stopped);
    [[nodiscard]] std::uint64_t window_of(const Channel& channel, const Life& life) const;
    [[nodiscard]] Life* life_of(ConnectionId connection);
    [[nodiscard]] Life* listener(Channel& channel) const;
    void forget_if_unused(const std::string& name);
    void send(ConnectionId to, const protocol::RingFrame& frame);

    // switch.cpp
    bool give_to_ring(base::Buffer payload, bool safe, bool urgent, std::size_t& room,
                      std::vector<totem::Submitted>& submissions);
    static bool waits(const Channel& channel);
    bool submit_next_of(Channel& channel, std::size_t& room,
                        std::vector<totem::Submitted>& submissions);

    SwitchConfig config_;
    std::optional<base::RingId> ring_;
    std::vector<base::NodeId> members_;  // Of the regular configuration. Ascending.
    std::optional<totem::InstallConfiguration> transitional_;  // Between it and the regular one.
    std::optional<Exchange> exchange_;
    Channels channels_;
    std::map<ConnectionId, Connection> connections_;

    std::deque<base::Buffer> control_;  // Items of our own for the ring, all urgent.
    std::optional<base::Buffer> sync_;  // Goes before them. One of an older ring is replaced.
    std::uint64_t submitted_ = 0;       // Numbers of totem::Submitted.
    std::uint64_t taken_ = 0;
    std::string next_channel_;  // Whose turn it is to submit.

    std::vector<Output> outputs_;
    Counters counters_;
};

}  // namespace stream
