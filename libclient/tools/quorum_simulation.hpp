// What a configuration file means for quorum when nodes fail or are cut off: the very rule that
// quorumd applies, without a cluster.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/config/cluster_config.hpp"

namespace haloctl {

// A side of a split, or who is left.
struct SimulatedSide {
    std::vector<std::uint32_t> nodes;  // Ascending.
    std::uint32_t votes = 0;
    std::uint32_t needed = 0;
    std::uint32_t expected = 0;
    bool quorate = false;
};

struct SimulatedStep {
    std::vector<std::uint32_t> failed;  // In this step.
    SimulatedSide left;
    // last_man_standing: after its window.
    bool is_lowered = false;
    SimulatedSide after_window;
    // If they do not fail, and are only cut off together. Without a device.
    SimulatedSide cut_off;
};

// Steps like "3,4": these fail at once. Without any: each node alone, from all. Else why not.
[[nodiscard]] base::Expected<std::vector<SimulatedStep>, std::string> simulate_failures(
    const config::ClusterConfig& cluster, const std::vector<std::string>& steps, bool device_votes);

[[nodiscard]] std::string simulation_text(const std::vector<SimulatedStep>& steps);
[[nodiscard]] std::string simulation_json(const std::vector<SimulatedStep>& steps);

}  // namespace haloctl
