// What quorumd tells about itself: plain data, for clients, the status socket and tests.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/instant.hpp"
#include "quorumd/core/message.hpp"

namespace quorum {

struct Counters {
    std::uint64_t decisions = 0;
    std::uint64_t exchanges = 0;          // Begun after a view.
    std::uint64_t exchanges_aborted = 0;  // By the next view.
    std::uint64_t members_skipped = 0;    // Whose state was not waited for any longer.
    std::uint64_t renewals = 0;           // Of the lease, by messages of this node.
    std::uint64_t leases_expired = 0;     // Quorum withdrawn without a decision.
    std::uint64_t grants_waited = 0;      // Quorum that waited for the leases of those not here.
    std::uint64_t messages_refused = 0;   // Malformed, or of nobody in the view.
    std::uint64_t messages_stale = 0;     // Of another view.
    std::uint64_t device_timeouts = 0;    // The device did not poll in time.
};

enum class NodeState : std::uint8_t { Member, Dead, Leaving };

struct NodeStatus {
    NodeState state = NodeState::Dead;
    Announcement said{};
    bool device_casts = false;  // For the ring that it is in.
};

// Why there is no quorum, or why it is not known yet.
enum class Reason : std::uint8_t {
    None,               // There is quorum.
    NoRing,             // Nothing has been decided since the start.
    TooFewVotes,        //
    WaitingForAll,      // wait_for_all
    Superseded,         // Others have gone on with lowered expected votes.
    LeaseExpired,       // No contact with the partition for too long.
    WaitingForDevice,   // The membership changed; its word, or the members', is not there yet.
    OthersMayBeQuorate  // Enough votes; those who were quorate before may still believe they are.
};

struct Status {
    base::NodeId self{};
    bool is_attached = false;
    bool is_serving = false;  // Something has been decided since the start.
    bool is_exchanging = false;
    std::vector<base::NodeId> awaited;  // Whose state or device's word is waited for.
    protocol::Cursor applied{};
    ViewId view{};
    std::vector<base::NodeId> members;  // Of the view. Ascending.

    bool is_quorate = false;
    bool holds = false;  // As followers were told: until it is decided in this ring.
    Reason reason = Reason::NoRing;
    bool waits_for_all = false;
    Standing standing{};
    Options options{};                         // That hold in this view.
    std::vector<base::NodeId> differing;       // Members whose files say something else.
    std::map<base::NodeId, NodeStatus> nodes;  // All that were seen.
    std::string device_name;                   // Empty: none is registered here.
    bool device_is_voting = false;             // Its votes are in the total.

    base::Duration lease{};
    // Until when this node may say that it is quorate, if it hears no more.
    std::optional<base::Instant> lease_until;
    std::optional<base::Instant> grant_at;  // OthersMayBeQuorate ends.
    std::optional<base::Instant> lower_at;  // The window of last_man_standing ends.
    Counters counters;
};

}  // namespace quorum
