// Everything that can happen to cpgd's core, and everything it asks for.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "common/base/instant.hpp"
#include "cpgd/core/record.hpp"

namespace cpg {

// One connection of a client, numbered by the driver, never used twice.
using ConnectionId = base::Strong<struct ConnectionIdTag, std::uint64_t>;

// ---------------------------------------------------------------- what happens

// cpgd is attached to the channel, as ring::StreamClient tells. Not resumed: the channel's events
// count from 1 again under `incarnation`, and what was submitted before may be lost.
struct RingAttached {
    base::NodeId self{};
    bool resumed = false;
    protocol::Incarnation incarnation{};
};

// The next event of the channel, in order of its cursors.
struct RingHappened {
    protocol::Event event;
};

// A client connected. The ids are of the kernel (SO_PEERCRED). `fresh_session` is from the kernel's
// random numbers, for the case that the client wants a new session.
struct ClientConnected {
    ConnectionId connection{};
    std::uint32_t uid = 0;
    std::uint32_t kernel_pid = 0;
    SessionId fresh_session{};
};
struct ClientSent {
    ConnectionId connection{};
    protocol::cpg::ClientFrame frame;
    bool takes_runs = false;  // The connection does. Counts in its first frame.
};
struct ClientGone {
    ConnectionId connection{};
};
// It sent what is no frame: its session ends.
struct ClientBroke {
    ConnectionId connection{};
};
// The process has ended: no session of it comes back.
struct ProcessDied {
    std::uint32_t kernel_pid = 0;
};

// A deadline may have passed.
struct TimePassed {};

using Event = std::variant<RingAttached, RingHappened, ClientConnected, ClientSent, ClientGone,
                           ClientBroke, ProcessDied, TimePassed>;

// ---------------------------------------------------------------- what is to be done, in order

struct SendToClient {
    ConnectionId connection{};
    protocol::cpg::CpgdFrame frame;
};
// After what was sent before has been written. No ClientGone follows.
struct CloseClient {
    ConnectionId connection{};
};
// One item of the channel.
struct Submit {
    base::Buffer payload;
    bool safe = false;
    bool urgent = false;
};

using Action = std::variant<SendToClient, CloseClient, Submit>;

}  // namespace cpg
