// The envelope in which a daemon and a client talk: one session a handle. What is asked, answered
// and told in it are the service's own frames (cmap_api.hpp, cfg_api.hpp, …), which the envelope
// carries as they are. Each frame is one ZeroMQ message of one part; docs/wire-format-session.md
// has the bytes; decode_* takes any input.
//
// A session has two connections: `control`, opened by Hello, for requests and replies, and
// `events`, opened by EventsHere, for events alone, because the application polls its descriptor.
// The session ends when either closes.
//
// A daemon that was killed knows no session when it is back. The client says Hello with the id that
// it had, says its lasting subscriptions again (requests of number 0), and then sends its
// unanswered request again under the number that it had: so a service that must not do a thing
// twice keeps (session, number, reply) with what it did.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/protocol/ring_api.hpp"

namespace protocol::session {

inline constexpr std::uint16_t kSessionApiVersion = 1;
// Of one request, reply or event. Service frames that list things come in pages below it.
inline constexpr std::size_t kPayloadBytesMax = std::size_t{1} << 20u;
inline constexpr std::size_t kReasonTextMax = 1024;
inline constexpr std::uint32_t kKeptIfAsked = 1;  // A feature (zmtp::Limits::features): Keep.
// A feature: EventsHere comes when it is needed, and has the effect of Keep; a session that has
// asked for nothing ends with its connection, and needs no Goodbye.
inline constexpr std::uint32_t kEventsIfAsked = 2;

// Random, never 0: a secret between a daemon and one client.
using SessionId = base::Strong<struct SessionIdTag, std::uint64_t>;

// What a listener serves and a client wants. Numbers are Corosync's, so that stats.ipcs.service<N>
// says the same.
enum class Service : std::uint8_t { Cmap = 0, Cfg = 1, Cpg = 2, Quorum = 3, Votequorum = 5 };

// ---------------------------------------------------------------- client → daemon

// The first frame on the control connection. `session` 0: a new one; else the one that the client
// had with this daemon or the one before it.
struct Hello {
    Service service = Service::Cmap;
    SessionId session{};
    std::uint32_t pid = 0;  // As the client sees itself, in its own pid namespace.
};

// The first frame on the second connection; answered by the same Welcome, or Refused.
struct EventsHere {
    SessionId session{};
};

// One outstanding at a time. Numbers of a session count up from 1, over all its connections; 0 says
// a lasting subscription again, which counts as nothing.
struct Request {
    std::uint64_t number = 0;
    base::Buffer payload;
};

// The session ends in order: all that it had is over at once, and nobody will come back for it.
struct Goodbye {
    std::uint64_t number = 0;  // Comes back in the Reply; then the connections end.
};

// The descriptor goes to the application, which must not see it hang up when the daemon dies:
// answered by a Reply when the service manager keeps the session's connections. A Request has that
// effect too. From a client without kKeptIfAsked they are kept before the first frame is answered.
struct Keep {
    std::uint64_t number = 0;
};

using ClientFrame = std::variant<Hello, EventsHere, Request, Goodbye, Keep>;

// ---------------------------------------------------------------- daemon → client

struct Welcome {
    SessionId session{};
    base::NodeId self{};
};

// `error` is a cs_error_t (corotypes.h); the connection ends after it. TRY_AGAIN: not synchronised
// yet; ACCESS: uid and gid rules; BAD_HANDLE: the session has ended for good.
struct Refused {
    std::uint32_t error = 0;
    std::string reason;
};

struct Reply {
    std::uint64_t number = 0;
    std::uint32_t error = 0;  // cs_error_t; 1 is OK.
    base::Buffer payload;
};

struct Event {
    base::Buffer payload;
};

using DaemonFrame = std::variant<Welcome, Refused, Reply, Event>;

// ---------------------------------------------------------------- codecs

// Decoded payloads share the frame; a header is followed by the payload.
[[nodiscard]] base::Expected<ClientFrame, FrameError> decode_client_frame(
    const base::Buffer& frame);
[[nodiscard]] base::Expected<DaemonFrame, FrameError> decode_daemon_frame(
    const base::Buffer& frame);
[[nodiscard]] base::Buffer encode_header(const DaemonFrame& frame);
[[nodiscard]] base::Buffer encode(const ClientFrame& frame);
[[nodiscard]] base::Buffer encode(const DaemonFrame& frame);

}  // namespace protocol::session
