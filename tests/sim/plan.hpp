// Everything that one run does, drawn from a seed before it starts; a run of the same plan is the
// same run.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "ringd/totem/ring_config.hpp"
#include "tests/sim/faults.hpp"

namespace sim {

// Which kinds of faults the nemesis draws from, and how many.
enum class Profile : std::uint8_t {
    Calm,        // No faults: formation, order, idle.
    Lossy,       // Loss, duplicates, reordering, slow and narrow paths.
    Partitions,  // Cluster splits and merges.
    Asymmetric,  // One-way cuts, A–B cut while both see C, lost links.
    Churn,       // Crash, restart, leave, reconfiguration.
    Pauses,      // Stopped and slow processes, slow disks.
    Mixed,       // All of it.
};
inline constexpr Profile kProfiles[] = {Profile::Calm,       Profile::Lossy, Profile::Partitions,
                                        Profile::Asymmetric, Profile::Churn, Profile::Pauses,
                                        Profile::Mixed};

[[nodiscard]] std::string_view name_of(Profile profile);
[[nodiscard]] std::optional<Profile> profile_named(std::string_view name);

// What every path does apart from faults. Loss and the like end with the chaos.
struct PathRules {
    Ppm loss = 0;
    Ppm duplicates = 0;
    Ppm reorders = 0;
    base::Duration delay_min{};
    base::Duration delay_max{};
    std::uint64_t bytes_per_second = 0;  // 0: no limit.
};

struct Workload {
    base::Duration interval_min{};  // Between two messages of one application.
    base::Duration interval_max{};
    Ppm safe = 0;
    Ppm urgent = 0;
    Ppm large = 0;  // Up to size_max; the others up to 200 bytes.
    std::size_t size_max = 200;
    bool in_partial_phase = false;  // Goes on while connectivity is partial.
};

struct Plan {
    std::uint64_t seed = 0;
    Profile profile = Profile::Mixed;

    std::vector<base::NodeId> nodes;  // Ascending.
    std::size_t links = 1;
    totem::RingConfig settings;  // Without self and peers.
    PathRules paths;
    base::Duration turn_latency{};  // From a packet's arrival to the turn of the loop that sees it.
    base::Duration store_min{};     // To make a ring id durable.
    base::Duration store_max{};
    std::size_t socket_bytes = std::size_t{256} << 10u;
    Workload work;

    base::Duration chaos{};     // All faults end by then.
    std::vector<Fault> faults;  // Ascending by begin.

    // Then these cuts hold for one phase (none: there is no such phase), then all is well.
    std::vector<Paths> partial;
    NodeSet down = 0;  // Nodes that stay down after the chaos, to the end.

    // Stream, cpgd and its clients on every node, instead of messages for their own sake.
    bool has_services = false;
    // Now and then a core goes on from its own bytes (docs/design/0004-resume.md): that must change
    // nothing.
    bool archives = false;
    // Processes keep a journal, are killed and go on from it.
    bool has_kills = false;
    // What a wrong way to go on would do: planted (planted.cpp).
    enum class Wrong : std::uint8_t { Nothing, ActsFirst, ForgetsInputs, DoesAllAgain, NewSelf };
    Wrong wrong = Wrong::Nothing;
};

// Draws all but what is given.
struct Wish {
    std::uint64_t seed = 0;
    std::optional<Profile> profile;
    std::optional<std::size_t> nodes;
    bool with_services = false;
    bool with_kills = false;
};
[[nodiscard]] Plan draw_plan(const Wish& wish);

// How long the nodes of a stable network may take to agree.
[[nodiscard]] base::Duration settle_bound(const Plan& plan);
// How long nothing must change then for us to believe it: longer than any single time-out.
[[nodiscard]] base::Duration quiet_time(const Plan& plan);

}  // namespace sim
