// What of one node lives above the ring: ringd's stream, cpgd's process with its connection to it,
// and what they keep. Shipped cores; the sockets between them are queues with a delay.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "common/ring_client/attachment.hpp"
#include "cpgd/core/core.hpp"
#include "ringd/stream/switch.hpp"
#include "tests/sim/plan.hpp"
#include "tests/support/cpg_client.hpp"

namespace sim {

// Frames of one direction of a socket arrive in order.
struct Pipe {
    base::Instant free{};
};

// What reached cpgd and was not stepped yet.
struct FromRing {
    stream::ConnectionId connection{};
    base::Buffer frame;
};
struct RingClosed {
    stream::ConnectionId connection{};
};
using CpgdInput = std::variant<FromRing, RingClosed, cpg::ClientConnected, cpg::ClientSent,
                               cpg::ClientGone, cpg::ProcessDied>;

// One life of cpgd.
struct CpgdProcess {
    CpgdProcess(std::uint64_t number, cpg::Core with, ring::Attachment place)
        : life(number), core(std::move(with)), attachment(std::move(place)) {}

    std::uint64_t life;
    cpg::Core core;
    ring::Attachment attachment;
    std::optional<stream::ConnectionId> ring;  // The connection to ringd.
    std::deque<CpgdInput> inbox;
    std::vector<cpg::Action> actions;
    std::deque<cpg::Submit> submissions;  // Until the attachment has room.
    std::optional<base::Instant> store_at;
    std::optional<cpg::Core::Draft> draft;
    bool was_serving = false;
    std::optional<base::Instant> turn_at;
    base::Instant paused_until{};
};

struct CpgNode {
    NodeIndex index = 0;
    base::NodeId node{};

    // ringd's process.
    std::optional<stream::Switch> streams;
    std::uint32_t ringd_life = 0;
    std::deque<std::pair<stream::ConnectionId, base::Buffer>> inbox;
    std::vector<stream::ConnectionId> closed;  // By cpgd.

    std::optional<CpgdProcess> cpgd;
    std::optional<base::Buffer> snapshot;  // Outlives cpgd, not the host.
    Pipe up;                               // cpgd to ringd.
    Pipe down;

    // For the checker: the view that cpgd is in, and by session and event the view that made it.
    support::ViewTag view;
    std::map<cpg::SessionId, std::map<std::uint64_t, support::ViewTag>> tags;
};

struct CpgProgram : support::CpgClient {
    NodeIndex at = 0;
    cpg::ConnectionId connection{};  // 0: none.
    Pipe up;
    Pipe down;
    bool has_left = false;
};

}  // namespace sim
