// The quorum rule: is this partition allowed to act? Pure functions of the configuration, of what
// the partition remembers and of who is in it, so that the rule can be read, tested and explored
// apart from the daemon that applies it.
//
// Source: votequorum(5); how each option is taken, and where Halo decides otherwise, is in
// docs/quorum.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "common/base/ids.hpp"

namespace quorum {

// A member of the partition as it announced itself. 0 votes: a member that never decides.
struct Member {
    base::NodeId node{};
    std::uint32_t votes = 1;

    friend bool operator==(const Member&, const Member&) = default;
};

// Who wins when exactly half of the expected votes are left: the partition with this node.
struct LowestNode {
    friend bool operator==(const LowestNode&, const LowestNode&) = default;
};
struct HighestNode {
    friend bool operator==(const HighestNode&, const HighestNode&) = default;
};
// The first of the list that was quorate before the split.
struct FirstOf {
    std::vector<base::NodeId> nodes{};

    friend bool operator==(const FirstOf&, const FirstOf&) = default;
};
using TieBreaker = std::variant<LowestNode, HighestNode, FirstOf>;

struct Rules {
    bool two_node = false;  // With two expected votes one is enough. Needs fencing: both
                            // halves of a split believe they may act, and the fencing race decides.
    bool wait_for_all = false;  // After a cold start nobody is quorate until all were seen once.
    bool last_man_standing = false;  // A quorate partition that lost members and is stable again
                                     // expects only the votes that are left.
    bool allow_downscale = false;    // A member that leaves in order is no longer expected.
    std::optional<TieBreaker> tie_breaker{};

    friend bool operator==(const Rules&, const Rules&) = default;
};

// The vote of a quorum device in this partition.
struct Device {
    std::uint32_t votes = 0;
    bool casts = false;        // It votes for this partition.
    bool master_wins = false;  // A partition that it votes for is quorate, whatever its size.

    friend bool operator==(const Device&, const Device&) = default;
};

// What a partition remembers; the same at all its members.
struct Standing {
    std::uint32_t expected_votes = 0;  // The highest that any member expects, or what was set.
    std::uint32_t threshold = 0;       // Votes needed.
    std::uint32_t total_votes = 0;     // Votes present, with the device's.
    bool quorate = false;
    bool all_seen = false;  // wait_for_all is satisfied: all expected votes were here at once, or
                            // the partition met one that had satisfied it.

    // The members when it was quorate last, with their votes. Empty: never since the cold start.
    std::map<base::NodeId, std::uint32_t> last_quorate{};
    std::uint64_t last_quorate_seq =
        0;  // Seq of the ring of that time: of two memories, the later.
    // That membership expected fewer votes than are configured (last_man_standing, downscale).
    // Whoever comes after must contain most of it: a partition of the others could reach the
    // configured majority while it goes on.
    bool lowered = false;

    friend bool operator==(const Standing&, const Standing&) = default;
};

// What may be recomputed in a decision.
enum class Recount : std::uint8_t {
    Keep,      // Membership or votes changed: the threshold never falls below what it was.
    Decrease,  // expected_votes was lowered on purpose: the threshold may fall.
};

// Decides anew in the ring with `ring_seq`. `members` ascends by node and is not empty. `before` is
// what the partition remembers; a partition in which several meet takes the `merge` of all.
[[nodiscard]] Standing decide(const Rules& rules, const Standing& before, std::uint64_t ring_seq,
                              std::span<const Member> members, const Device& device,
                              Recount recount);

// What a partition remembers in which members with these standings meet. Associative and
// commutative, so that the order of asking does not matter. `quorate` of the result says whether
// one of them was; the decision that follows sets it anew.
[[nodiscard]] Standing merge(const Standing& one, const Standing& other);

// votequorum_setexpected: the new standing, or nothing where it is refused: below the votes that
// are present, or so high that the partition would lose the quorum that it has.
[[nodiscard]] std::optional<Standing> set_expected(const Rules& rules, const Standing& before,
                                                   std::uint64_t ring_seq,
                                                   std::span<const Member> members,
                                                   const Device& device,
                                                   std::uint32_t expected_votes);

// last_man_standing, when its window has passed without a change: expects only who is left. The
// same standing unless the partition is quorate and each member has one vote. Only for a message
// that was delivered safe in a regular configuration: then all members of it learn of the lowering,
// also those that are cut off at that moment.
[[nodiscard]] Standing stand_alone(const Rules& rules, const Standing& before,
                                   std::uint64_t ring_seq, std::span<const Member> members,
                                   const Device& device);

// allow_downscale, when a member with `votes` announced that it leaves in order: expects it no
// longer, but never fewer than `floor` (the configured expected votes at start) or than are left.
[[nodiscard]] Standing downscale(const Rules& rules, const Standing& before, std::uint64_t ring_seq,
                                 std::span<const Member> members, const Device& device,
                                 std::uint32_t votes, std::uint32_t floor);

}  // namespace quorum
