// What the quorum daemons of a cluster say to each other on their channel, in the order of the
// ring. Each message names the view that its sender was in: in another one it has no effect, and
// what is still true is said again there. docs/wire-format-quorum.md has the bytes.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/protocol/ring_api.hpp"
#include "common/quorum/votes.hpp"

namespace quorum {

inline constexpr std::uint16_t kMessageVersion = 1;
inline constexpr std::size_t kDeviceNameMax = 254;  // Bytes.
inline constexpr std::uint32_t kVotesMax = 65'535;  // Of a node or a device, as in the file.
// Nodes of a tie breaker's list, or of a remembered membership.
inline constexpr std::size_t kListMax = protocol::kNodesMax;

// Names a view of the channel.
struct ViewId {
    base::RingId ring{};
    std::uint64_t version = 0;

    friend auto operator<=>(const ViewId&, const ViewId&) = default;
};

// What the configuration file of a node says. The members of a view go by the options of the one
// with the highest config_version (of several, the lowest node), so that all apply the same.
struct Options {
    std::uint64_t config_version = 0;
    std::uint32_t expected_votes = 1;
    std::uint32_t device_votes = 0;
    Rules rules{};

    // Whether they decide alike: all but the version.
    [[nodiscard]] bool same_rules(const Options& other) const {
        return expected_votes == other.expected_votes && device_votes == other.device_votes &&
               rules == other.rules;
    }
    friend bool operator==(const Options&, const Options&) = default;
};

// What a node knows of its quorum device.
struct DeviceReport {
    bool registered = false;
    bool alive = false;        // It polls in time.
    bool casts = false;        // Its last poll was a yes.
    bool master_wins = false;  // It may decide alone.
    base::RingId polled{};     // The ring of its last poll: its vote counts in that one only.

    friend bool operator==(const DeviceReport&, const DeviceReport&) = default;
};

// What a node says about itself.
struct Announcement {
    std::uint32_t votes = 1;
    bool leaving = false;
    Options options{};
    DeviceReport device{};

    friend bool operator==(const Announcement&, const Announcement&) = default;
};

// At the start of a view: what the sender brings to it.
struct State {
    Announcement own{};
    Standing standing{};
    // How long ago, by the sender's clock, somebody was last left behind who may have thought that
    // it was quorate; or since when the sender knows. UINT32_MAX: that long, or longer.
    std::uint32_t others_left_ago_ms = UINT32_MAX;
};
// Later in it: something of that has changed.
struct Announce {
    Announcement own{};
};
// Nothing but a proof of contact, see Core.
struct Renewal {};
// An administrator's changes.
struct SetExpected {
    std::uint32_t expected_votes = 0;
};
struct SetVotes {
    base::NodeId node{};
    std::uint32_t votes = 0;
};
struct CancelWaitForAll {};
// The window of last_man_standing has passed, and the sender has stored that expected votes may be
// lowered: they are once all members have said so.
struct Lower {};
// These members have not said their state in time; the others decide without them until they do.
struct Skip {
    std::vector<base::NodeId> nodes;  // Ascending.
};
// Whoever was quorate without us can't be any more: the partition may be.
struct Grant {};

struct Message {
    std::uint64_t life = 0;  // Of the sending daemon, never used twice on its node.
    std::uint64_t number = 0;
    ViewId view{};
    std::variant<State, Announce, Renewal, SetExpected, SetVotes, CancelWaitForAll, Lower, Skip,
                 Grant>
        what{};
};

[[nodiscard]] base::Expected<Message, protocol::FrameError> decode_message(
    const base::Buffer& bytes);
[[nodiscard]] base::Buffer encode_message(const Message& message);

}  // namespace quorum
