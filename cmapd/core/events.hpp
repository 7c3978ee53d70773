// What happens to a cmap::Core, and what it wants done.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cmapd/core/cs_error.hpp"
#include "cmapd/core/keys.hpp"
#include "common/base/buffer.hpp"
#include "common/base/instant.hpp"
#include "common/protocol/cmap_api.hpp"
#include "common/protocol/ring_api.hpp"
#include "common/protocol/session_api.hpp"

namespace cmap {

using protocol::session::SessionId;

using Values = std::map<std::string, Value, std::less<>>;

// ---------------------------------------------------------------- what happened

// `came_back`: its next request may be one that was asked before, and done.
struct SessionOpened {
    SessionId session{};
    bool came_back = false;
};
// `for_good`: nobody comes back for it.
struct SessionClosed {
    SessionId session{};
    bool for_good = false;
};
// A request of a session; `payload` is the client's and may be anything.
struct Asked {
    SessionId session{};
    std::uint64_t number = 0;
    base::Buffer payload;
};
// The daemon's own word: read-only keys too, one step for trackers.
struct OwnWrites {
    std::vector<protocol::cmap::Write> writes;
};
// The configuration file as keys. What an earlier one had and this one has not is deleted, if it is
// still as that one had it; all in one step.
struct Configured {
    Values keys;
};
// Answers CollectStats: the whole stats map, as of now.
struct StatsCollected {
    Values values;
};
// A deadline may have passed.
struct TimePassed {};

// The channel, as ring::StreamClient tells of it.
struct RingAttached {
    base::NodeId self{};
    bool resumed = false;
    protocol::Incarnation incarnation{};
};
struct RingHappened {
    protocol::Event event;
};
// Whether the nodes of `ring` are quorate.
struct QuorumChanged {
    base::RingId ring{};
    bool is_quorate = false;
    // When that ends without further word; nothing: it has no end.
    std::optional<base::Instant> until;
};
// Nobody counts votes on this node: every partition may act.
struct QuorumUncounted {};
// The node list has so many nodes now.
struct NodesChanged {
    std::size_t nodes = 0;
};

using Event = std::variant<SessionOpened, SessionClosed, Asked, OwnWrites, Configured,
                           StatsCollected, TimePassed, RingAttached, RingHappened, QuorumChanged,
                           QuorumUncounted, NodesChanged>;

// ---------------------------------------------------------------- what is to be done, in order

struct Answer {
    SessionId session{};
    std::uint64_t number = 0;
    CsError error = CsError::Ok;
    base::Buffer payload;
};
// An event of a session.
struct Tell {
    SessionId session{};
    base::Buffer payload;
};
// For the daemon itself: what changed, in order.
struct Observe {
    std::vector<Change> changes;
};
// Find out all statistics; StatsCollected answers it. One at a time.
struct CollectStats {};
// stats.clear.<which> was set.
struct ClearStats {
    std::string which;
};
// One item of the channel.
struct Submit {
    base::Buffer payload;
    bool urgent = false;
    bool safe = true;
};
// Of another partition's state, that was not the one to go on with: for the log.
struct KeysLost {
    base::NodeId winner{};
    std::vector<std::string> keys;  // The first of them.
    std::size_t count = 0;
};

using Action = std::variant<Answer, Tell, Observe, CollectStats, ClearStats, Submit, KeysLost>;

// ---------------------------------------------------------------- what is to be stored

// What a session was answered last, for a request that changes something: asked again after a
// restart, it gets the same.
struct Answered {
    std::uint64_t number = 0;
    CsError error = CsError::Ok;
    base::Buffer payload;
};

// One of two databases: Place::RunTime is one, Local and Cluster are the other.
struct Stores {
    std::vector<Change> changes;
    std::map<SessionId, Answered> answered;
    [[nodiscard]] bool is_empty() const { return changes.empty() && answered.empty(); }
};

struct Commit {
    Stores run_time;
    Stores state;
    std::vector<SessionId> forgotten;                    // Their Answered, in both.
    std::optional<std::vector<std::string>> configured;  // The names of Configured::keys.
    // The replica's own part, which belongs to the state.
    std::optional<base::Buffer> replica;
    // All keys below "cluster." are written anew: the last try failed.
    bool rewrites_cluster = false;
    Revision journal_floor{};

    [[nodiscard]] bool needs_state() const {
        return !state.is_empty() || replica.has_value() || rewrites_cluster;
    }
};

}  // namespace cmap
