// Everything that can happen to quorumd's core, and everything it asks for.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/instant.hpp"
#include "quorumd/core/config.hpp"

namespace quorum {

// ---------------------------------------------------------------- what happens

// quorumd is attached to the channel, as ring::StreamClient tells. Not resumed: the channel's
// events count from 1 again under `incarnation`, and what was submitted before may be lost.
struct RingAttached {
    base::NodeId self{};
    bool resumed = false;
    protocol::Incarnation incarnation{};
};

// The next event of the channel, in order of its cursors.
struct RingHappened {
    protocol::Event event;
};

// A request of an administrator, answered by Answer once it has its place in the order.
using Token = base::Strong<struct TokenTag, std::uint64_t>;
struct Request {
    Token token{};
    std::variant<SetExpected, SetVotes, CancelWaitForAll> what{};
};

// The quorum device of this node.
struct DeviceRegister {
    std::string name;
};
struct DeviceUnregister {};
struct DeviceRename {
    std::string name;
};
// Its program is gone: it votes no more, and stays registered.
struct DeviceLost {};
// Its word about the ring `ring`: yes or no.
struct DevicePoll {
    bool casts = false;
    base::RingId ring{};
};
struct DeviceMasterWins {
    bool allowed = false;
};

// The configuration was read again. Times and votes of this node too.
struct Reconfigure {
    Config config{};
};

// This node is about to leave in order.
struct Leave {};

// A deadline may have passed.
struct TimePassed {};

using Event = std::variant<RingAttached, RingHappened, Request, DeviceRegister, DeviceUnregister,
                           DeviceRename, DeviceLost, DevicePoll, DeviceMasterWins, Reconfigure,
                           Leave, TimePassed>;

// ---------------------------------------------------------------- what is to be done

// To the channel.
struct Submit {
    base::Buffer payload;
    bool safe = false;
    bool urgent = false;
};

enum class Outcome : std::uint8_t {
    Done,
    TryAgain,      // No ring, or it changed meanwhile.
    Refused,       // Expected votes below those present, or with which quorum would be lost.
    NoSuchNode,    // Votes of a node that is not here.
    NotAllowed,    // A device beside options that exclude it.
    NotRegistered  // A device that does not exist.
};
struct Answer {
    Token token{};
    Outcome outcome = Outcome::Done;
};

// Somebody came or went: sent at the start of a view, before it is known whether it is quorate.
struct MembersChanged {
    std::vector<base::NodeId> joined;
    std::vector<base::NodeId> left;
};
// It was decided anew, or the lease ended or began again: status() says what holds.
struct QuorumChanged {};
struct ExpectedVotesChanged {};

// Keep these bytes durably before what follows is done.
struct Store {
    base::Buffer durable;
};

using Action =
    std::variant<Submit, Answer, MembersChanged, QuorumChanged, ExpectedVotesChanged, Store>;

}  // namespace quorum
