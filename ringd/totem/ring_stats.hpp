// Counters and the status of a ring, for people and programs that watch it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "ringd/totem/failure_detector.hpp"
#include "ringd/totem/seq.hpp"
#include "ringd/totem/wire.hpp"

namespace totem {

// Why a member began to gather.
enum class GatherReason : std::uint8_t {
    Started,           // Of this process.
    PartitionChanged,  // Somebody is heard, or not heard any more.
    MemberRestarted,   // A member came back as another process.
    MemberGathers,     // A member of the ring says that it left it.
    TokenLost,         // Operational: no token for token_timeout.
    TokenNotReturned,  // Asked for a parked token and did not get it.
    CommitLost,        // The commit token did not come round.
    RecoveryLost,      // The token of recovery did not come round.
};
inline constexpr std::size_t kGatherReasons = 8;
[[nodiscard]] std::string_view name_of(GatherReason reason);

// Why a packet was not used.
enum class DropCause : std::uint8_t {
    Malformed,      // No decoder accepts it.
    UnknownSender,  // Not a configured node.
    OtherRing,      // Of another ring than the one it would have to be of.
    Duplicate,      // Seen before.
    WrongState,     // Of no use in this state.
    Spoofed,        // Names another sender than the one who is authentic.
    TooFarAhead,    // A message beyond what the store may hold.
};
inline constexpr std::size_t kDropCauses = 7;
[[nodiscard]] std::string_view name_of(DropCause cause);

struct RingStats {
    std::array<std::uint64_t, kPacketTypes> packets_received{};  // By type, well-formed.
    std::array<std::uint64_t, kDropCauses> drops{};
    std::array<std::uint64_t, kGatherReasons> gathers{};
    std::uint64_t rings_formed = 0;
    std::uint64_t tokens_visited = 0;
    std::uint64_t tokens_retransmitted = 0;
    std::uint64_t tokens_parked = 0;
    std::uint64_t tokens_held = 0;  // For a moment, before all know that it may be parked.
    std::uint64_t token_requests_sent = 0;
    std::uint64_t messages_sent = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t messages_resent = 0;
    std::uint64_t messages_requested = 0;  // By us.
    std::uint64_t items_delivered = 0;
    std::uint64_t messages_recovered = 0;             // Received in recovery.
    std::uint64_t visits_without_room = 0;            // Something to send, and the window was full.
    std::map<base::NodeId, std::uint64_t> resent_to;  // Messages a peer asked for.
    Duration rotation_last{};
    Duration rotation_mean{};  // Smoothed.
    Duration rotation_max{};
    Instant operational_since{};
};

struct PeerStatus {
    base::NodeId node{};
    bool heard = false;
    std::optional<LinkId> best_link{};
    std::optional<LinkId> lifeline{};  // The link of the one with it, if there is one.
    std::vector<LinkHealth> links;
    std::uint64_t messages_resent = 0;
};

struct RingStatus {
    std::string_view state;
    base::RingId ring{};  // In force, or last in force.
    NodeSet members;
    std::vector<PeerStatus> peers;
    Seq seq{};
    Seq aru{};
    Seq safe_line{};
    Seq delivered{};
    std::size_t queue_bytes = 0;
    std::size_t window_bytes = 0;
    std::size_t packet_bytes = 0;
    std::uint64_t features = 0;
    std::optional<GatherReason> last_gather{};
    bool holds_token = false;
};

}  // namespace totem
