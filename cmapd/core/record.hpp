// What the cmapds of a cluster say to each other, in the order of the channel "cmap", and the
// replica's own part of the database. docs/wire-format-cmap.md has the bytes; decode_* takes any
// input.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "cmapd/core/cs_error.hpp"
#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/protocol/cmap_api.hpp"
#include "common/protocol/ring_api.hpp"
#include "common/protocol/session_api.hpp"

namespace cmap {

inline constexpr std::uint8_t kRecordVersion = 1;
inline constexpr std::uint8_t kReplicaVersion = 2;
inline constexpr std::size_t kLineageMax = 64;
inline constexpr std::size_t kAnswersMax = 256;
inline constexpr std::size_t kAnswerBytesMax = 1024;

using protocol::session::SessionId;

// Which writes a copy of the cluster's keys has: all up to the `count`th of the ring `epoch`, on
// top of its lineage. Of two copies that are not the same the greater goes on.
struct Version {
    base::RingId epoch{};
    std::uint64_t count = 0;

    friend auto operator<=>(const Version&, const Version&) = default;
};

// What a session's last write was answered, so that none is done twice, whoever died.
struct ClusterAnswer {
    std::uint64_t number = 0;
    CsError error = CsError::Ok;
    base::Buffer payload;
    std::uint64_t at = 0;  // How many writes the copy had; the oldest are forgotten first.
};

// One write of a client: a Set, Delete, Step or Transaction. It counts in the ring in which its
// node knew that it may write, and nowhere else.
struct Op {
    base::RingId ring{};
    SessionId session{};
    std::uint64_t number = 0;
    protocol::cmap::Request request;
};

// The first word of each member in a view that has to agree on a state.
struct Summary {
    base::RingId ring{};
    std::uint64_t view = 0;  // View::version.
    Version version;
};

// The state to go on with, from who has it; parts count from 0.
struct State {
    base::RingId ring{};
    std::uint64_t view = 0;
    std::uint32_t part = 0;
    bool last = false;
    Version version;
    std::uint64_t total = 0;
    std::vector<Version> lineage;  // In part 0: the versions at which each former epoch ended.
    std::vector<protocol::cmap::Item> items;
    std::map<SessionId, ClusterAnswer> answers;
};

// A place in the order, asked for by a node whose clients read: what they were to see stands before
// it. Of the attachment and the number the node knows its own, over its restarts too.
struct Mark {
    protocol::Incarnation incarnation{};
    std::uint64_t number = 0;

    friend bool operator==(const Mark&, const Mark&) = default;
};

// The sender has stored the first `total` writes. `asks`: it knows of nobody else's, who say theirs
// again.
struct Stored {
    base::RingId ring{};
    std::uint64_t view = 0;
    std::uint64_t total = 0;
    bool asks = false;
};

using Record = std::variant<Op, Summary, State, Mark, Stored>;

[[nodiscard]] base::Buffer encode_record(const Record& record);
[[nodiscard]] base::Expected<Record, protocol::FrameError> decode_record(const base::Buffer& bytes);

// Where a restarted cmapd goes on: beside the keys, in the same transaction.
struct ReplicaState {
    protocol::Incarnation incarnation{};
    protocol::Cursor applied{};
    bool is_synchronised = false;
    protocol::View view;
    std::optional<std::set<base::NodeId>> came_along;
    Version version;
    Version settled;
    std::uint64_t total = 0;
    std::vector<Version> lineage;
    std::map<SessionId, ClusterAnswer> answers;
};

[[nodiscard]] base::Buffer encode_replica(const ReplicaState& state);
[[nodiscard]] base::Expected<ReplicaState, protocol::FrameError> decode_replica(
    const base::Buffer& bytes);

}  // namespace cmap
