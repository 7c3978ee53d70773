// What quorumd and its clients say to each other inside a session (session_api.hpp): requests,
// their replies, and events. Two services share it: `quorum` (libquorum) and `votequorum`
// (libvotequorum). docs/wire-format-quorum.md has the bytes; decode_* takes any input.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/protocol/ring_api.hpp"

namespace protocol::quorum {

inline constexpr std::size_t kDeviceNameMax = 254;  // Bytes.

// ---------------------------------------------------------------- client → quorumd

struct GetQuorate {};  // → Quorate

// Events from here on. Nothing comes back but the result.
struct Track {
    std::uint64_t context = 0;  // Comes back in each event.
    bool now = true;            // What holds now is told at once.
};
struct TrackStop {};
// For who may act only within the lease. QuorumEvents, now and from here on: also when only
// `until_ns` has moved, and not quorate while the members of a new ring have not decided yet.
struct TrackLease {};

// Node 0: the quorum device.
struct GetInfo {
    base::NodeId node{};
};  // → Info

struct SetExpected {
    std::uint32_t votes = 0;
};
struct SetVotes {
    base::NodeId node{};
    std::uint32_t votes = 0;
};

struct DeviceRegister {
    std::string name;
};
struct DeviceUnregister {
    std::string name;
};
struct DeviceUpdate {
    std::string old_name;
    std::string new_name;
};
struct DevicePoll {
    std::string name;
    bool casts = false;
    base::RingId ring{};
};
struct DeviceMasterWins {
    std::string name;
    bool allowed = false;
};

using Request =
    std::variant<GetQuorate, Track, TrackStop, GetInfo, SetExpected, SetVotes, DeviceRegister,
                 DeviceUnregister, DeviceUpdate, DevicePoll, DeviceMasterWins, TrackLease>;

// ---------------------------------------------------------------- quorumd → client

struct Quorate {
    bool has_provider = true;  // False: every partition is quorate.
    bool quorate = false;
    // Until when that holds without further word, by CLOCK_BOOTTIME in ns; 0: it has no end.
    std::uint64_t until_ns = 0;
};

// Numbers are libvotequorum's.
enum class NodeState : std::uint8_t { Member = 1, Dead = 2, Leaving = 3 };

struct Info {
    base::NodeId node{};
    NodeState state = NodeState::Dead;
    std::uint32_t votes = 0;
    std::uint32_t expected_votes = 0;
    std::uint32_t highest_expected = 0;
    std::uint32_t total_votes = 0;
    std::uint32_t quorum = 0;
    std::uint32_t flags = 0;  // VOTEQUORUM_INFO_*
    std::uint32_t device_votes = 0;
    std::string device_name;  // Empty: none is registered.
};

// The members changed; whether they are quorate is told later.
struct NodelistEvent {
    std::uint64_t context = 0;
    base::RingId ring{};
    std::vector<base::NodeId> members;  // Ascending, as the others.
    std::vector<base::NodeId> joined;
    std::vector<base::NodeId> left;
};

struct NodeAndState {
    base::NodeId node{};
    NodeState state = NodeState::Dead;

    friend bool operator==(const NodeAndState&, const NodeAndState&) = default;
};
struct QuorumEvent {
    std::uint64_t context = 0;
    bool quorate = false;
    base::RingId ring{};
    std::uint64_t until_ns = 0;       // As in Quorate.
    std::vector<NodeAndState> nodes;  // All that were seen. Ascending.
};
struct ExpectedVotesEvent {
    std::uint64_t context = 0;
    std::uint32_t votes = 0;
};

using Answer = std::variant<Quorate, Info, NodelistEvent, QuorumEvent, ExpectedVotesEvent>;

// ---------------------------------------------------------------- codecs

[[nodiscard]] base::Expected<Request, FrameError> decode_request(const base::Buffer& frame);
[[nodiscard]] base::Expected<Answer, FrameError> decode_answer(const base::Buffer& frame);
[[nodiscard]] base::Buffer encode(const Request& request);
[[nodiscard]] base::Buffer encode(const Answer& answer);

}  // namespace protocol::quorum
