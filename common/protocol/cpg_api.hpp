// What cpgd and a client say to each other: one session a handle. Each frame is one ZeroMQ message
// of one part. docs/wire-format.md has the bytes; decode_* takes any input.
//
// A session has one connection, or two: with Hello::separate_events its events wait for a second
// one, opened by EventsHere. Then the descriptor that an application polls is readable for events
// alone (a Credit or Reply on it would wake a program whose CS_DISPATCH_ONE then blocks), and what
// is not dispatched stays in the socket. The session is lost when either connection closes.
//
// Exactly once over a reconnect: the client numbers its multicasts and keeps them until Credit says
// that they are ordered; cpgd numbers the session's events and keeps what makes them until the
// client acknowledged them. A client that comes back says both numbers and goes on from there.
//
// Each side says in its READY (zmtp::Limits::features) whether it takes runs of messages; to who
// does not (an older build, a program on libzmq) each message goes in a frame of its own. So with
// areas: a client that takes one gets the long messages of its events connection through memory.
// So with Keep: who opens a session for one question costs the service manager nothing. So with the
// second connection, which most such sessions never open.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/protocol/message_run.hpp"
#include "common/protocol/ring_api.hpp"

namespace protocol::cpg {

inline constexpr std::uint16_t kCpgApiVersion = 1;
inline constexpr std::uint32_t kTakesRuns = 1;    // A feature: McastRun or DeliveredRun.
inline constexpr std::uint32_t kTakesArea = 2;    // A feature: DeliveredInArea.
inline constexpr std::uint32_t kKeptIfAsked = 4;  // A feature: Keep.
// A feature: EventsHere comes when it is needed, and has the effect of Keep; a session that never
// joined ends with its connection, and needs no Goodbye.
inline constexpr std::uint32_t kEventsIfAsked = 8;
inline constexpr std::size_t kGroupNameMax = 128;  // Bytes, any value, counted; 0 is allowed.
// A longer message travels in parts of this size, put together again by the receiving library.
inline constexpr std::size_t kPartBytesMax = std::size_t{1} << 20u;
inline constexpr std::size_t kGroupsASessionMax = 1024;

using SessionId = base::Strong<struct SessionIdTag, std::uint64_t>;  // Random, never 0: a secret
                                                                     // between cpgd and one client.
// A group that this session asked to join, chosen by the client, unique in the session while in
// use.
using GroupHandle = base::Strong<struct GroupHandleTag, std::uint32_t>;

// Values of cpg_reason_t (cpg.h).
enum class Reason : std::uint8_t {
    Undefined = 0,
    Join = 1,
    Leave = 2,
    NodeDown = 3,
    NodeUp = 4,
    ProcDown = 5
};

// A member of a group: one process on one node (cpg_address).
struct Member {
    base::NodeId node{};
    std::uint32_t pid = 0;
    Reason reason = Reason::Undefined;  // In left and joined lists.

    friend auto operator<=>(const Member&, const Member&) = default;
};

// ---------------------------------------------------------------- client → cpgd

// The first frame. `session` 0: a new one.
struct Hello {
    SessionId session{};
    std::uint32_t pid = 0;             // As the client sees itself, in its own pid namespace.
    std::uint64_t last_event = 0;      // Highest event that the client has taken.
    bool totem_events = false;         // Wants TotemConfchg.
    bool initial_totem_event = false;  // CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF.
    bool separate_events = false;      // Events wait for EventsHere, and go there.
};

// The first frame of a session's second connection; answered by the same Welcome, or Refused. From
// then on it carries SessionEvents (those after `last_event` again) down and EventAcks up, and
// nothing else.
struct EventsHere {
    SessionId session{};
    std::uint64_t last_event = 0;  // As in Hello, where it then does not count.
};

// `request` comes back in the Reply. The requests of a session count up from 1, one outstanding at
// a time. A join or leave is answered when it has its place in the order (an error at once), so a
// client that comes back sends its unanswered request again: it takes effect once.
struct Join {
    std::uint32_t request = 0;
    GroupHandle handle{};
    std::string group;
};
struct Leave {
    std::uint32_t request = 0;
    GroupHandle handle{};
};
struct MembershipGet {
    std::uint32_t request = 0;
    std::string group;
};
// All groups and their members, as of now. `group` empty and `one_group` false: all.
struct GroupsGet {
    std::uint32_t request = 0;
    bool one_group = false;
    std::string group;
};

// A multicast takes its payload and this much off the window, so that messages without payload end
// too.
inline constexpr std::size_t kMcastCostBytes = 64;

// One message or a part of one. Numbers count from 1 in a session, over all its groups and parts.
struct Mcast {
    enum class Part : std::uint8_t { Whole, First, Middle, Last };
    std::uint64_t number = 0;
    GroupHandle handle{};
    bool safe = false;
    Part part = Part::Whole;
    std::uint64_t message_bytes = 0;  // Of the whole message; in each part the same.
    base::Buffer payload;
};

// Several messages, as that many Mcasts with Part::Whole and numbers that go up by one.
struct McastRun {
    std::uint64_t number = 0;  // Of the first.
    GroupHandle handle{};
    bool safe = false;
    MessageRun messages;
};

// All events up to `event` were taken by the application. A client may hold back the last
// kAckEventsMax acknowledgements and kAckBytesMax bytes for ever: that is no stuck client.
inline constexpr std::uint64_t kAckEventsMax = 64;
inline constexpr std::size_t kAckBytesMax = std::size_t{64} << 10u;
struct EventAck {
    std::uint64_t event = 0;
};

// The session ends in order: its groups are left with reason ProcDown, as closing does.
struct Goodbye {
    std::uint32_t request = 0;
};

// The descriptor goes to the application, which must not see it hang up when cpgd dies: answered
// when the service manager keeps the session's connections. Any other request has that effect too.
// From a client without kKeptIfAsked they are kept before the first frame is answered.
struct Keep {
    std::uint32_t request = 0;
};

using ClientFrame = std::variant<Hello, EventsHere, Join, Leave, MembershipGet, GroupsGet, Mcast,
                                 McastRun, EventAck, Goodbye, Keep>;

// ---------------------------------------------------------------- cpgd → client

// The answer to Hello. Resumed: the session that the client named goes on, and all events after its
// last_event follow. Else it is gone, or none was named, and this is a new one, whatever it had
// joined. `window_bytes`: payload (and kMcastCostBytes each) that may be outstanding,
// that is sent and not in Credit.
struct Welcome {
    SessionId session{};
    base::NodeId self{};
    bool resumed = false;
    std::uint64_t taken = 0;  // Highest multicast number that cpgd has.
    std::uint64_t window_bytes = 0;
};

// `error` is a cs_error_t (corotypes.h); the connection ends after it. TRY_AGAIN: not synchronised
// yet; ACCESS: uid and gid rules.
struct Refused {
    std::uint32_t error = 0;
    std::string reason;
};

struct Reply {
    std::uint32_t request = 0;
    std::uint32_t error = 0;  // cs_error_t; 1 is OK.
};
struct MembershipReply {
    std::uint32_t request = 0;
    std::vector<Member> members;
};
struct GroupMembers {
    std::string group;
    std::vector<Member> members;  // Ascending by node, then pid.

    friend bool operator==(const GroupMembers&, const GroupMembers&) = default;
};
struct GroupsReply {
    std::uint32_t request = 0;
    std::vector<GroupMembers> groups;  // Ascending by name.
};

// Multicasts up to `taken` are ordered. Sent at the latest when an eighth of the window was taken
// since the last one. One message longer than the window may be sent while nothing is outstanding,
// unless the window is 0. `window_bytes` may shrink to 0 (a receiver of the group is
// slow, or the ring gathers) and comes back with a later Credit.
struct Credit {
    std::uint64_t taken = 0;
    std::uint64_t window_bytes = 0;
};

struct Delivered {
    GroupHandle handle{};
    base::NodeId node{};
    std::uint32_t pid = 0;
    Mcast::Part part = Mcast::Part::Whole;
    std::uint64_t message_bytes = 0;
    base::Buffer payload;
};
// Several messages, as that many Delivereds with Part::Whole: so many events.
struct DeliveredRun {
    GroupHandle handle{};
    base::NodeId node{};
    std::uint32_t pid = 0;
    MessageRun messages;
};
struct Confchg {
    GroupHandle handle{};
    std::vector<Member> members;  // Ascending by node, then pid.
    std::vector<Member> left;
    std::vector<Member> joined;
};
struct TotemConfchg {
    GroupHandle handle{};
    base::RingId ring{};
    std::vector<base::NodeId> members;  // Ascending.
};

// Events of a session count from 1.
struct SessionEvent {
    std::uint64_t event = 0;  // Of a run: that of its first message.
    std::variant<Delivered, DeliveredRun, Confchg, TotemConfchg> what;
};
// How many events it is.
[[nodiscard]] inline std::uint64_t events_in(const SessionEvent& event) {
    const auto* run = std::get_if<DeliveredRun>(&event.what);
    return run == nullptr ? 1 : run->messages.count();
}
// Gives each message of the run to `take`, as the SessionEvent that it would be by itself.
template <class Take>
void for_each_event(std::uint64_t first, const DeliveredRun& run, Take take) {
    std::uint64_t event = first;
    std::size_t at = 0;
    run.messages.for_each([&](std::span<const std::byte> payload) {
        at += kRunLengthBytes;
        take(SessionEvent{
            .event = event++,
            .what = Delivered{.handle = run.handle,
                              .node = run.node,
                              .pid = run.pid,
                              .part = Mcast::Part::Whole,
                              .message_bytes = payload.size(),
                              .payload = run.messages.bytes().slice(at, payload.size())}});
        at += payload.size();
    });
}

// The event of a Delivered whose payload lies in the connection's area: memory of cpgd that the
// client maps to read. Its descriptor (a memfd sealed against a change of size and against others'
// writing) comes as SCM_RIGHTS with this connection's bytes, before or with the first such frame.
// The bytes stay as they are until the client acknowledges the event.
struct DeliveredInArea {
    std::uint64_t event = 0;
    Delivered delivered;  // Its payload does not count.
    std::uint32_t offset = 0;
    std::uint32_t payload_bytes = 0;
};

using CpgdFrame = std::variant<Welcome, Refused, Reply, MembershipReply, GroupsReply, Credit,
                               SessionEvent, DeliveredInArea>;

// ---------------------------------------------------------------- codecs

// As in ring_api.hpp: decoded payloads share the frame; a header is followed by the payload.
[[nodiscard]] base::Expected<ClientFrame, FrameError> decode_client_frame(
    const base::Buffer& frame);
[[nodiscard]] base::Expected<CpgdFrame, FrameError> decode_cpgd_frame(const base::Buffer& frame);
[[nodiscard]] base::Buffer encode_header(const ClientFrame& frame);
[[nodiscard]] base::Buffer encode_header(const CpgdFrame& frame);
[[nodiscard]] base::Buffer payload_of(const CpgdFrame& frame);
// The header of a Mcast whose payload of so many bytes lies elsewhere: mcast.payload does not
// count.
inline constexpr std::size_t kMcastHeaderBytes = 24;
void encode_mcast_header(const Mcast& mcast, std::size_t payload_bytes,
                         std::span<std::byte, kMcastHeaderBytes> out);
// The header of a McastRun, whose messages follow.
inline constexpr std::size_t kMcastRunHeaderBytes = 15;
void encode_run_header(std::uint64_t number, GroupHandle handle, bool safe,
                       std::span<std::byte, kMcastRunHeaderBytes> out);
// What stands before the messages of a DeliveredRun; nothing: it is no such frame, or not so much
// of it is there. For who reads the messages of a run before it has come whole.
inline constexpr std::size_t kDeliveredRunHeaderBytes = 22;
struct DeliveredRunHeader {
    std::uint64_t event = 0;
    GroupHandle handle{};
    base::NodeId node{};
    std::uint32_t pid = 0;
};
[[nodiscard]] bool begins_delivered_run(std::span<const std::byte> frame);
[[nodiscard]] std::optional<DeliveredRunHeader> delivered_run_header(
    std::span<const std::byte> frame);
[[nodiscard]] base::Buffer encode(const ClientFrame& frame);
[[nodiscard]] base::Buffer encode(const CpgdFrame& frame);

}  // namespace protocol::cpg
