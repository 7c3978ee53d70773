// What ringd and the services on this node say to each other about a channel: the ordered stream
// down, submissions up. Each frame is one ZeroMQ message of one part. docs/wire-format.md has the
// bytes; decode_* takes any input and gives a frame whose invariants hold, or why there is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "common/base/result.hpp"

namespace protocol {

inline constexpr std::uint16_t kRingApiVersion = 1;
inline constexpr std::uint32_t kTakesItems = 2;  // A feature (zmtp::Limits): BatchInArea.
// More than any cluster that we are tested with, and still 4 KiB a list.
inline constexpr std::size_t kNodesMax = 1024;
inline constexpr std::size_t kChannelNameMax = 32;  // Bytes of [a-z0-9._-], at least 1.
[[nodiscard]] bool is_channel_name(std::string_view name);

// Position in a channel's stream at one node: 1 is the first event of an attachment, and there is
// no gap. 0: nothing applied yet.
using Cursor = base::Strong<struct CursorTag, std::uint64_t>;

// One life of a service on one node, chosen at random by the service when it starts afresh, and
// kept when it resumes; 0 is none.
using Incarnation = base::Strong<struct IncarnationTag, std::uint64_t>;

// ---------------------------------------------------------------- service → ringd

// The first frame of a connection. A service: is a member of the channel on behalf of its node, one
// a channel and node. An observer: only reads, from the current configuration on; as many as there
// are, never retained for, dropped when slow.
struct Attach {
    enum class Role : std::uint8_t { Service, Observer };
    Role role = Role::Service;
    std::string channel;
    Incarnation incarnation{};    // 0 for an observer.
    Cursor applied{};             // Resume after this event; 0: start afresh.
    std::uint64_t submitted = 0;  // Highest number that this incarnation ever submitted.
};
// Attach::submitted of a service that was killed and does not know: Attached tells, it goes on from
// there, and what it had submitted is ordered without it.
inline constexpr std::uint64_t kSubmittedUnknown = UINT64_MAX;

// Urgent payload that may be outstanding beside the window, which it does not count in: when the
// window is 0 the members wait for what is urgent. A whole state of a service in large clusters.
inline constexpr std::size_t kUrgentBytesMax = std::size_t{8} << 20u;

// One item to be ordered. Numbers count from 1 in an incarnation; a number that ringd has is
// dropped, so a service that reconnects submits again all that was not Taken.
//
// The frame, as it is, also goes round the ring: hence the fields that ringd could know by itself.
struct Submit {
    std::uint64_t number = 0;
    std::uint64_t after = 0;  // The last number before it that is as urgent; 0: none.
    bool safe = false;
    bool urgent = false;  // Before all waiting items that are not: for the state exchange.
    Incarnation incarnation{};
    std::string channel;
    base::Buffer payload;
};

// All events up to `applied` are done with and need not be kept for this service.
struct Ack {
    Cursor applied{};
};

// All events up to `event` have left the socket, so others may come; they are still kept. Due when
// a quarter of Attached::event_bytes came since the last one or the last Ack.
struct Received {
    Cursor event{};
};

// The service ends for good on this node: the others see it leave the view, in order.
struct Detach {};

// What it has not given back before of the payloads that came as BatchInArea, by the cursors of the
// events, in any order: ringd may put others in their places.
struct GivenBack {
    std::vector<std::uint64_t> events;  // At least 1.
};
// More than there are places in an area: who has more to give back says it in parts.
inline constexpr std::size_t kGivenBackMax = 8192;

using ServiceFrame = std::variant<Attach, Submit, Ack, Received, Detach, GivenBack>;

// ---------------------------------------------------------------- ringd → service

// The answer to Attach.
struct Attached {
    base::NodeId self{};
    bool resumed = false;            // The stream goes on after `applied`. Else: starts at event 1.
    std::uint64_t taken = 0;         // Highest submission up to which all have their place.
    std::uint64_t window_bytes = 0;  // Bytes of submitted payload that may be outstanding.
    std::uint64_t event_bytes = 0;  // Sent at most beyond what is Received, but for the last event.
    // The last submissions of this incarnation that ringd has, ordinary and urgent; 0: none.
    std::uint64_t last_ordinary = 0;
    std::uint64_t last_urgent = 0;
};

// The connection ends after this.
struct Refused {
    bool afresh = false;  // This incarnation is over: attach again as another, from nothing.
    std::string reason;   // For people; names what is wrong.
};

// Submissions up to `number` have their place in the order; `window_bytes` may change with load.
struct Taken {
    std::uint64_t number = 0;
    std::uint64_t window_bytes = 0;
};

// Those of the view who stay together are now among themselves: what follows until the next View
// was sent in the old one (EVS transitional configuration).
struct Transitional {
    base::RingId next{};                // Of the ring that is being installed.
    std::vector<base::NodeId> members;  // Ascending; nodes of the last View that come along.
};

struct ViewMember {
    base::NodeId node{};
    Incarnation incarnation{};

    friend auto operator<=>(const ViewMember&, const ViewMember&) = default;
};

// Who is on the channel from here on: the nodes of the ring on which the service is attached. The
// same (ring, version) is the same view, at the same place of the order, at every member.
struct View {
    base::RingId ring{};
    std::uint64_t version = 0;         // 0 with a new ring; +1 for each attach or detach in it.
    std::vector<ViewMember> members;   // Ascending by node.
    std::vector<base::NodeId> left;    // In the view before, and gone. Ascending.
    std::vector<base::NodeId> joined;  // Not in the view before, or with another incarnation.
    std::vector<base::NodeId> ring_members;  // All nodes of the ring. Ascending.
};

// One submitted item.
struct Batch {
    base::RingId ring{};
    std::uint64_t seq = 0;
    std::uint32_t index = 0;
    base::NodeId sender{};
    std::uint64_t number = 0;  // The sender's submission number.
    base::Buffer payload;
};

struct Event {
    Cursor cursor{};
    std::variant<Transitional, View, Batch> what;
};

// The event of a Batch whose payload lies in ringd's area: memory that the service maps to read.
// Its descriptor (a memfd sealed against a change of size and against others' writing) comes as
// SCM_RIGHTS with this connection's bytes, before or with the first such frame. The bytes stay as
// they are until the service gives them back, or the connection ends.
struct BatchInArea {
    Cursor cursor{};
    Batch batch;  // Its payload does not count.
    std::uint32_t offset = 0;
    std::uint32_t payload_bytes = 0;
};

using RingFrame = std::variant<Attached, Refused, Taken, Event, BatchInArea>;

// ---------------------------------------------------------------- codecs

enum class FrameError : std::uint8_t {
    Truncated,
    TrailingBytes,
    UnknownType,
    WrongVersion,
    OutOfRange
};

// The decoded payloads share the frame's memory.
[[nodiscard]] base::Expected<ServiceFrame, FrameError> decode_service_frame(
    const base::Buffer& frame);
[[nodiscard]] base::Expected<RingFrame, FrameError> decode_ring_frame(const base::Buffer& frame);

// Submit and Batch are encoded as a header; the payload follows it in the same ZeroMQ message, so
// that it is never copied (zmtp::Connection::send takes both).
[[nodiscard]] base::Buffer encode_header(const ServiceFrame& frame);
[[nodiscard]] base::Buffer encode_header(const RingFrame& frame);
// Whether the frame of a service begins as a GivenBack.
[[nodiscard]] bool is_given_back(const base::Buffer& frame);
// Header and payload in one, for tests and small frames.
[[nodiscard]] base::Buffer encode(const ServiceFrame& frame);
[[nodiscard]] base::Buffer encode(const RingFrame& frame);

}  // namespace protocol
