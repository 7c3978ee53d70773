// What the cpgds of a cluster say to each other: records, which travel in batches. A batch is one
// ordered item of the channel "cpg". docs/wire-format-cpg.md has the bytes.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/protocol/cpg_api.hpp"
#include "common/protocol/ring_api.hpp"

namespace cpg {

using protocol::cpg::GroupHandle;
using protocol::cpg::SessionId;

inline constexpr std::uint8_t kBatchVersion = 1;

// A session of a client begins. `kernel_pid` and `uid` are as the sender's kernel sees the client,
// `pid` as the client sees itself: that one is its address in groups.
struct Open {
    SessionId session{};
    std::uint32_t pid = 0;
    std::uint32_t kernel_pid = 0;
    std::uint32_t uid = 0;
    bool totem_events = false;
    bool initial_totem_event = false;
};
// `request` ascends in a session: a record that comes a second time has no effect.
struct Join {
    SessionId session{};
    std::uint32_t request = 0;
    GroupHandle handle{};
    std::string group;
};
struct Leave {
    SessionId session{};
    std::uint32_t request = 0;
    GroupHandle handle{};
};
// The session ends; its members go with ProcDown.
struct End {
    SessionId session{};
};
// `number` ascends in a session, as Join's request.
struct Mcast {
    SessionId session{};
    std::uint64_t number = 0;
    GroupHandle handle{};
    protocol::cpg::Mcast::Part part = protocol::cpg::Mcast::Part::Whole;
    std::uint64_t message_bytes = 0;
    base::Buffer payload;
};
// Several Mcasts with Part::Whole and numbers that go up by one. In a batch those that follow each
// other are one, as far as a run goes; a single one is a Mcast again when it is decoded.
struct McastRun {
    SessionId session{};
    std::uint64_t number = 0;  // Of the first.
    GroupHandle handle{};
    protocol::cpg::MessageRun messages;
};
// A member of the group on the sender's node is slow (stop), or none is any more.
struct Flow {
    std::string group;
    bool stop = false;
};
// Everything that the sender submitted before is now in the order.
struct Marker {
    std::uint64_t nonce = 0;
};

struct HandleState {
    GroupHandle handle{};
    std::string group;

    friend bool operator==(const HandleState&, const HandleState&) = default;
};
struct SessionState {
    SessionId session{};
    std::uint32_t pid = 0;
    std::uint64_t number = 0;
    std::uint32_t request = 0;
    std::vector<HandleState> handles;  // Ascending by handle.

    friend bool operator==(const SessionState&, const SessionState&) = default;
};
// The place of a batch among those that its sender submitted: they count from 1 in each life of a
// cpgd. `life` is the time of its start in ns since the epoch.
struct Place {
    std::uint64_t life = 0;
    std::uint64_t number = 0;

    friend auto operator<=>(const Place&, const Place&) = default;
};
// How far a node's batches went: the last one, and the last one of the life before that.
struct Progress {
    Place last;
    Place former;

    // Whether who has come to `place` has had something of the node that is not in here: of these
    // two lives, or of one that is after the former and not in here at all.
    [[nodiscard]] bool lacks(const Place& place) const {
        if (place.life == last.life) return place.number > last.number;
        if (place.life == former.life) return place.number > former.number;
        return place.life > former.life;
    }
    [[nodiscard]] bool lacks(const Progress& theirs) const {
        return lacks(theirs.last) || lacks(theirs.former);
    }
    friend auto operator<=>(const Progress&, const Progress&) = default;
};
struct NodeProgress {
    base::NodeId node{};
    Progress had;
};

// What the sender's node brings to the view (ring, version): as of the place where the view stands
// in the order, or, when `caught_up`, after what others had of the sender before. Several parts
// when it is long; they count from 0. The first has the last batch that the sender had of every
// node, also of those that are gone.
struct State {
    base::RingId ring{};
    std::uint64_t version = 0;
    bool caught_up = false;
    std::uint32_t part = 0;
    bool last = true;
    std::vector<SessionState> sessions;
    std::vector<std::string> stopped_groups;
    std::vector<NodeProgress> had;
};

using Record = std::variant<Open, Join, Leave, End, Mcast, McastRun, Flow, Marker, State>;

struct Batch {
    protocol::Incarnation incarnation{};  // Of the sender: what an earlier life left is ignored.
    Place place;                          // Number 0: of a State, which has no place.
    std::vector<Record> records;
};

// Messages share the memory of `bytes`.
[[nodiscard]] base::Expected<Batch, protocol::FrameError> decode_batch(const base::Buffer& bytes);
[[nodiscard]] base::Buffer encode_batch(const Batch& batch);

// The same batch as of another attachment of its sender.
[[nodiscard]] base::Buffer with_incarnation(const base::Buffer& batch,
                                            protocol::Incarnation incarnation);

inline constexpr std::size_t kBatchHeaderBytes = 25;
// Bytes that the record takes in a batch, at most.
[[nodiscard]] std::size_t encoded_bytes_max(const Record& record);

}  // namespace cpg
