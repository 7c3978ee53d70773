#include "libclient/tools/quorum_simulation.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "common/config/quorum_rules.hpp"

namespace haloctl {
namespace {

using quorum::Member;
using quorum::Recount;
using quorum::Standing;

std::vector<Member> members_of(const config::ClusterConfig& cluster,
                               const std::set<std::uint32_t>& nodes) {
    std::vector<Member> members;
    for (const config::Node& node : cluster.nodes) {
        if (nodes.contains(node.id.value()))
            members.push_back({.node = node.id, .votes = node.votes});
    }
    return members;
}

SimulatedSide side_of(const std::vector<Member>& members, const Standing& standing) {
    SimulatedSide side{.nodes = {},
                       .votes = standing.total_votes,
                       .needed = standing.threshold,
                       .expected = standing.expected_votes,
                       .quorate = standing.quorate};
    for (const Member& member : members) {
        side.nodes.push_back(member.node.value());
    }
    return side;
}

base::Expected<std::set<std::uint32_t>, std::string> nodes_in(const std::string& text,
                                                              const std::set<std::uint32_t>& left) {
    std::set<std::uint32_t> nodes;
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    while (at != end) {
        std::uint32_t node = 0;
        const auto [next, error] = std::from_chars(at, end, node);
        if (error != std::errc{} || (next != end && *next != ','))
            return base::fail(fmt::format("'{}': needs nodeids joined by commas", text));
        if (!left.contains(node))
            return base::fail(
                fmt::format("'{}': node {} is not in the nodelist, or failed before; "
                            "left are {}",
                            text, node, fmt::join(left, ", ")));
        nodes.insert(node);
        at = next == end ? end : next + 1;
    }
    return nodes;
}

// The cluster that goes from all its nodes through the steps.
class Walk {
  public:
    Walk(const config::ClusterConfig& cluster, bool device_votes)
        : cluster_(cluster), rules_(config::rules_of(cluster.quorum)) {
        if (cluster.quorum.device && device_votes)
            device_ = {.votes = cluster.quorum.device->votes, .casts = true};
        for (const config::Node& node : cluster.nodes) {
            left_.insert(node.id.value());
        }
        standing_.expected_votes = cluster.quorum.expected_votes;
        standing_ = decide(members_of(cluster_, left_), standing_, device_);
    }

    [[nodiscard]] const std::set<std::uint32_t>& left() const { return left_; }

    SimulatedStep fail(const std::set<std::uint32_t>& nodes) {
        SimulatedStep step;
        step.failed.assign(nodes.begin(), nodes.end());
        const Standing before = standing_;
        const auto cut_off = members_of(cluster_, nodes);
        step.cut_off = side_of(cut_off, decide(cut_off, before, {}));
        for (const std::uint32_t node : nodes) {
            left_.erase(node);
        }
        const auto members = members_of(cluster_, left_);
        if (members.empty()) return step;
        standing_ = decide(members, before, device_);
        step.left = side_of(members, standing_);
        const Standing lowered = stand_alone(rules_, standing_, ring_, members, device_);
        step.is_lowered = lowered.expected_votes < standing_.expected_votes;
        standing_ = lowered;
        step.after_window = side_of(members, standing_);
        return step;
    }

  private:
    Standing decide(const std::vector<Member>& members, const Standing& before,
                    const quorum::Device& device) {
        if (!cluster_.quorum.is_votequorum) {
            Standing free = before;
            free.quorate = true;
            return free;
        }
        return quorum::decide(rules_, before, ++ring_, members, device, Recount::Keep);
    }

    const config::ClusterConfig& cluster_;
    quorum::Rules rules_;
    quorum::Device device_{};
    std::set<std::uint32_t> left_;
    Standing standing_{};
    std::uint64_t ring_ = 0;
};

std::string row(const std::string& failed, const SimulatedSide& side, const std::string& remark) {
    return fmt::format("{:<16} {:<20} {:>6} {:>7} {:>9}  {:<8} {}\n", failed,
                       fmt::format("{}", fmt::join(side.nodes, ",")), side.votes, side.needed,
                       side.expected, side.quorate ? "yes" : "no", remark);
}

nlohmann::json json_of(const SimulatedSide& side) {
    return {{"nodes", side.nodes},
            {"votes", side.votes},
            {"needed", side.needed},
            {"expected", side.expected},
            {"quorate", side.quorate}};
}

}  // namespace

base::Expected<std::vector<SimulatedStep>, std::string> simulate_failures(
    const config::ClusterConfig& cluster, const std::vector<std::string>& steps,
    bool device_votes) {
    if (cluster.nodes.empty()) return base::fail(std::string("the file has no nodelist"));
    std::vector<SimulatedStep> rows;
    if (steps.empty()) {
        for (const config::Node& node : cluster.nodes) {
            rows.push_back(Walk(cluster, device_votes).fail({node.id.value()}));
        }
        return rows;
    }
    Walk walk(cluster, device_votes);
    for (const std::string& text : steps) {
        const auto nodes = nodes_in(text, walk.left());
        if (!nodes) return base::fail(nodes.error());
        rows.push_back(walk.fail(*nodes));
    }
    return rows;
}

std::string simulation_text(const std::vector<SimulatedStep>& steps) {
    std::string text = fmt::format("{:<16} {:<20} {:>6} {:>7} {:>9}  {:<8}\n", "failed", "left",
                                   "votes", "needed", "expected", "quorate");
    for (const SimulatedStep& step : steps) {
        const std::string failed = fmt::format("{}", fmt::join(step.failed, ","));
        text += row(failed, step.left, "");
        if (step.is_lowered) text += row("", step.after_window, "after last_man_standing_window");
        if (step.cut_off.quorate)
            text += row("", step.cut_off, "if they are cut off and alive: both sides act!");
    }
    return text;
}

std::string simulation_json(const std::vector<SimulatedStep>& steps) {
    nlohmann::json list = nlohmann::json::array();
    for (const SimulatedStep& step : steps) {
        list.push_back({{"failed", step.failed},
                        {"left", json_of(step.left)},
                        {"after_window", json_of(step.after_window)},
                        {"cut_off", json_of(step.cut_off)}});
    }
    return list.dump(2) + "\n";
}

}  // namespace haloctl
