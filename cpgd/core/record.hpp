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
// What the sender's node brings to the view (ring, version): as of the place where the view stands
// in the order. Several parts when it is long; they count from 0.
struct State {
    base::RingId ring{};
    std::uint64_t version = 0;
    std::uint32_t part = 0;
    bool last = true;
    std::vector<SessionState> sessions;
    std::vector<std::string> stopped_groups;
};

using Record = std::variant<Open, Join, Leave, End, Mcast, Flow, Marker, State>;

struct Batch {
    protocol::Incarnation incarnation{};  // Of the sender: what an earlier life left is ignored.
    std::vector<Record> records;
};

// The payloads share the memory of `bytes`.
[[nodiscard]] base::Expected<Batch, protocol::FrameError> decode_batch(const base::Buffer& bytes);
[[nodiscard]] base::Buffer encode_batch(const Batch& batch);

// The same batch as of another life of its sender.
[[nodiscard]] base::Buffer with_incarnation(const base::Buffer& batch,
                                            protocol::Incarnation incarnation);

inline constexpr std::size_t kBatchHeaderBytes = 9;
// Bytes that the record takes in a batch, at most.
[[nodiscard]] std::size_t encoded_bytes_max(const Record& record);

}  // namespace cpg
