// Two disjoint partitions are never quorate at once, with votes of 0 to 3 and each combination of
// the options but those that allow it by definition (two_node, allow_downscale):
//  - up to three nodes: all sequences of splits, merges, cold starts and lowered expectations;
//  - four nodes: the same to a depth;
//  - five to seven nodes: every split of the whole, lowered or not, and every split after it;
//  - five to seven nodes: seeded walks.
// Prints how many states were visited. HALO_QUORUM_EXHAUSTIVE=1: with all votes, and deeper.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/prng.hpp"
#include "common/quorum/votes.hpp"

namespace {

using base::NodeId;
using quorum::Device;
using quorum::Member;
using quorum::Recount;
using quorum::Rules;
using quorum::Standing;

// A device's vote goes to one partition at most.
constexpr unsigned kNoSide = UINT32_MAX;

struct World {
    std::vector<unsigned> side;  // Of each node: which partition it is in.
    unsigned device_side = kNoSide;
    std::vector<Standing> standings;  // Of each node.
    std::uint64_t ring_seq = 1;
};

// Same for worlds that differ only in how high the ring seqs are.
std::string key_of(const World& world) {
    std::set<std::uint64_t> seqs;
    for (const Standing& standing : world.standings) {
        seqs.insert(standing.last_quorate_seq);
    }
    std::string key = world.device_side == kNoSide ? "" : std::to_string(world.device_side) + ':';
    for (std::size_t node = 0; node < world.side.size(); ++node) {
        const Standing& standing = world.standings[node];
        const auto rank = std::distance(seqs.begin(), seqs.find(standing.last_quorate_seq));
        key += std::to_string(world.side[node]) + '/' + std::to_string(standing.expected_votes) +
               '/' + std::to_string(standing.threshold) + '/' + std::to_string(rank) +
               (standing.quorate ? 'q' : '-') + (standing.all_seen ? 's' : '-') +
               (standing.lowered ? 'l' : '-');
        for (const auto& [member, votes] : standing.last_quorate) {
            key += std::to_string(member.value()) + ',';
        }
        key += ';';
    }
    return key;
}

class Explorer {
  public:
    // `device`: its votes and whether it may decide alone.
    Explorer(const Rules& rules, std::vector<std::uint32_t> votes, const Device& device = {})
        : rules_(rules), votes_(std::move(votes)), device_(device), expected_(device.votes) {
        for (const std::uint32_t node_votes : votes_) {
            expected_ += node_votes;
        }
    }

    [[nodiscard]] World start() const {
        World world;
        for (unsigned node = 0; node < votes_.size(); ++node) {
            world.side.push_back(node);
            world.standings.push_back({.expected_votes = expected_});
        }
        return world;
    }

    // Each node goes to the side that `sides` says; those who end up together exchange standings.
    [[nodiscard]] World split(World world, const std::vector<unsigned>& sides,
                              unsigned device_side = kNoSide) const {
        world.side = sides;
        world.device_side = device_side;
        ++world.ring_seq;
        const World old = world;
        for (const unsigned side : std::set<unsigned>(sides.begin(), sides.end())) {
            const auto members = members_of(world, side);
            Standing met = old.standings.at(index_of(members.front()));
            for (const Member& member : members) {
                met = quorum::merge(met, old.standings.at(index_of(member)));
            }
            settle(world, members,
                   quorum::decide(rules_, met, world.ring_seq, members, device_of(world, side),
                                  Recount::Keep));
        }
        return world;
    }

    // The window of last_man_standing passes on one side.
    [[nodiscard]] World window_passes(World world, unsigned side) const {
        const auto members = members_of(world, side);
        const Standing before = world.standings.at(index_of(members.front()));
        settle(
            world, members,
            quorum::stand_alone(rules_, before, world.ring_seq, members, device_of(world, side)));
        return world;
    }

    // Power fails on one node: what is durable stays, the rest is forgotten, and it starts alone.
    [[nodiscard]] World cold_start(World world, unsigned node) const {
        std::vector<unsigned> sides = world.side;
        sides[node] = *std::ranges::max_element(sides) + 1;
        world.standings[node].all_seen = false;
        world.standings[node].quorate = false;
        return split(std::move(world), normal(sides));
    }

    void check(const World& world) const {
        std::set<unsigned> quorate;
        for (std::size_t node = 0; node < world.side.size(); ++node) {
            if (world.standings[node].quorate) quorate.insert(world.side[node]);
        }
        if (quorate.size() > 1) FAIL("two partitions are quorate: " << key_of(world));
    }

    // Sides numbered in the order of their first node, so that equal splits look equal.
    static std::vector<unsigned> normal(const std::vector<unsigned>& sides) {
        std::map<unsigned, unsigned> names;
        std::vector<unsigned> result;
        for (const unsigned side : sides) {
            result.push_back(
                names.emplace(side, static_cast<unsigned>(names.size())).first->second);
        }
        return result;
    }

    [[nodiscard]] std::size_t nodes() const { return votes_.size(); }
    [[nodiscard]] bool has_device() const { return device_.votes > 0; }

  private:
    static std::size_t index_of(const Member& member) { return member.node.value() - 1; }

    [[nodiscard]] std::vector<Member> members_of(const World& world, unsigned side) const {
        std::vector<Member> members;
        for (std::uint32_t node = 0; node < votes_.size(); ++node) {
            if (world.side[node] != side) continue;
            members.push_back({.node = NodeId{node + 1}, .votes = votes_[node]});
        }
        return members;
    }

    static void settle(World& world, const std::vector<Member>& members, const Standing& standing) {
        for (const Member& member : members) {
            world.standings.at(index_of(member)) = standing;
        }
    }

    [[nodiscard]] Device device_of(const World& world, unsigned side) const {
        Device device = device_;
        device.casts = has_device() && world.device_side == side;
        return device;
    }

    Rules rules_;
    std::vector<std::uint32_t> votes_;
    Device device_;
    std::uint32_t expected_ = 0;
};

std::vector<std::vector<unsigned>> all_splits(std::size_t nodes) {
    std::set<std::vector<unsigned>> splits;
    std::vector<unsigned> sides(nodes, 0);
    for (;;) {
        splits.insert(Explorer::normal(sides));
        std::size_t at = 0;
        while (at < nodes && ++sides[at] == nodes) {
            sides[at++] = 0;
        }
        if (at == nodes) break;
    }
    return {splits.begin(), splits.end()};
}

std::size_t explore(const Explorer& explorer, unsigned depth_max) {
    const auto splits = all_splits(explorer.nodes());
    std::set<std::string> seen;
    std::deque<std::pair<World, unsigned>> queue{{explorer.start(), 0}};
    while (!queue.empty()) {
        const auto [world, depth] = queue.front();
        queue.pop_front();
        if (!seen.insert(key_of(world)).second) continue;
        explorer.check(world);
        if (depth == depth_max) continue;
        for (const auto& sides : splits) {
            queue.emplace_back(explorer.split(world, sides), depth + 1);
            if (!explorer.has_device()) continue;
            for (unsigned side = 0; side <= *std::ranges::max_element(sides); ++side) {
                queue.emplace_back(explorer.split(world, sides, side), depth + 1);
            }
        }
        for (unsigned node = 0; node < explorer.nodes(); ++node) {
            queue.emplace_back(explorer.cold_start(world, node), depth + 1);
            queue.emplace_back(explorer.window_passes(world, world.side[node]), depth + 1);
        }
    }
    return seen.size();
}

std::vector<Rules> all_rules() {
    std::vector<Rules> rules;
    for (const bool wait_for_all : {false, true}) {
        for (const bool last_man_standing : {false, true}) {
            Rules some{.wait_for_all = wait_for_all, .last_man_standing = last_man_standing};
            rules.push_back(some);
            some.tie_breaker = quorum::LowestNode{};
            rules.push_back(some);
            some.tie_breaker = quorum::HighestNode{};
            rules.push_back(some);
            some.tie_breaker = quorum::FirstOf{{NodeId{2}, NodeId{1}, NodeId{3}}};
            rules.push_back(some);
        }
    }
    return rules;
}

std::vector<Rules> rules_beside_device() {
    return {Rules{}, Rules{.wait_for_all = true}};
}

bool is_long_form() {
    return std::getenv("HALO_QUORUM_EXHAUSTIVE") != nullptr;
}

// Votes of 0 to 3 each, not all 0. `ascending`: those that differ by more than who is who.
std::vector<std::vector<std::uint32_t>> all_votes(std::size_t nodes, bool ascending) {
    std::vector<std::vector<std::uint32_t>> all;
    std::vector<std::uint32_t> votes(nodes, 0);
    for (;;) {
        std::size_t at = 0;
        while (at < nodes && ++votes[at] == 4) {
            votes[at++] = 0;
        }
        if (at == nodes) return all;
        if (!ascending || std::ranges::is_sorted(votes)) all.push_back(votes);
    }
}

std::uint32_t sum_of(const std::vector<std::uint32_t>& votes) {
    std::uint32_t sum = 0;
    for (const std::uint32_t one : votes) {
        sum += one;
    }
    return sum;
}

// Devices as the two algorithms of corosync-qnetd want them. One that decides alone is safe where
// each node has one vote and it has as many as all but one; else it may, by definition, overrule
// those who have a majority without it.
std::vector<Device> devices_for(const std::vector<std::uint32_t>& votes) {
    std::vector<Device> devices = {{.votes = 1}};
    const std::uint32_t most = sum_of(votes) - 1;
    if (most > 1) devices.push_back({.votes = most});
    const bool are_equal = std::ranges::count(votes, 1u) == std::ssize(votes);
    if (are_equal && most > 0) devices.push_back({.votes = most, .master_wins = true});
    return devices;
}

template <class Visit>
void for_each_cluster(std::size_t nodes, bool ascending, std::size_t step, Visit visit) {
    const auto all = all_votes(nodes, ascending);
    for (std::size_t at = 0; at < all.size(); at += step) {
        for (const Rules& rules : all_rules()) {
            visit(Explorer(rules, all[at]));
        }
        for (const Rules& rules : rules_beside_device()) {
            for (const Device& device : devices_for(all[at])) {
                visit(Explorer(rules, all[at], device));
            }
        }
    }
}

// All splits in two of the whole, with the window of last_man_standing passed or not, and all
// splits in two after that, with the device on each side or none.
std::size_t explore_two_splits(const Explorer& explorer,
                               const std::vector<std::vector<unsigned>>& splits) {
    std::size_t states = 0;
    const std::vector<unsigned> together(explorer.nodes(), 0);
    const World whole = explorer.split(explorer.start(), together);
    const unsigned devices = explorer.has_device() ? 3 : 1;
    for (const auto& first : splits) {
        for (unsigned side = 0; side < devices; ++side) {
            World apart = explorer.split(whole, first, side == 2 ? kNoSide : side);
            explorer.check(apart);
            ++states;
            for (const bool lowers : {false, true}) {
                if (lowers) {
                    const std::string before = key_of(apart);
                    for (const unsigned each : {0u, 1u}) {
                        if (std::ranges::find(first, each) != first.end())
                            apart = explorer.window_passes(apart, each);
                    }
                    if (key_of(apart) == before) continue;
                    explorer.check(apart);
                }
                for (const auto& second : splits) {
                    explorer.check(explorer.split(apart, second, side == 2 ? kNoSide : 1 - side));
                    ++states;
                }
            }
        }
    }
    return states;
}

std::vector<std::vector<unsigned>> splits_in_two(std::size_t nodes) {
    std::vector<std::vector<unsigned>> splits;
    for (std::size_t half = 0; half < (std::size_t{1} << (nodes - 1)); ++half) {
        std::vector<unsigned> sides(nodes, 0);
        for (std::size_t node = 1; node < nodes; ++node) {
            sides[node] = (half >> (node - 1)) & 1;
        }
        splits.push_back(std::move(sides));
    }
    return splits;
}

}  // namespace

TEST_CASE("never two quorate partitions: all histories of up to three nodes, four to a depth") {
    std::size_t clusters = 0;
    std::size_t states = 0;
    for (const std::size_t nodes : {1u, 2u, 3u}) {
        const std::size_t step = nodes == 3 && !is_long_form() ? 9 : 1;
        for_each_cluster(nodes, false, step, [&](const Explorer& explorer) {
            ++clusters;
            states += explore(explorer, UINT32_MAX);
        });
    }
    std::printf("%zu clusters of up to 3 nodes, all their %zu states\n", clusters, states);
    clusters = states = 0;
    const unsigned depth = is_long_form() ? 4 : 2;
    for_each_cluster(4, false, is_long_form() ? 1 : 5, [&](const Explorer& explorer) {
        ++clusters;
        states += explore(explorer, depth);
    });
    std::printf("%zu clusters of 4 nodes, %zu states in up to %u steps\n", clusters, states, depth);
}

TEST_CASE("never two quorate partitions: two splits of five to seven nodes") {
    for (const std::size_t nodes : {5u, 6u, 7u}) {
        std::size_t clusters = 0;
        std::size_t states = 0;
        const auto splits = splits_in_two(nodes);
        // Of 56, 84 and 120 votes that differ by more than who is who.
        const std::size_t step = is_long_form() ? 1 : nodes == 5 ? 2 : nodes == 6 ? 7 : 29;
        for_each_cluster(nodes, true, step, [&](const Explorer& explorer) {
            ++clusters;
            states += explore_two_splits(explorer, splits);
        });
        std::printf("%zu clusters of %zu nodes, %zu states in two splits\n", clusters, nodes,
                    states);
    }
}

TEST_CASE("never two quorate partitions: seeded walks for five to seven nodes") {
    std::size_t states = 0;
    base::Prng random(1);
    for (const Rules& rules : all_rules()) {
        for (unsigned walk = 0; walk < 300; ++walk) {
            const std::size_t count = 5 + random.below(3);
            std::vector<std::uint32_t> votes;
            const bool weighed = random.below(2) == 0;
            for (std::size_t node = 0; node < count; ++node) {
                votes.push_back(weighed ? static_cast<std::uint32_t>(random.below(4)) : 1);
            }
            if (std::ranges::count(votes, 0u) == static_cast<std::ptrdiff_t>(count)) votes[0] = 1;
            const Explorer explorer(rules, votes);
            World world = explorer.start();
            for (unsigned step = 0; step < 60; ++step) {
                const auto node = static_cast<unsigned>(random.below(count));
                const auto kind = random.below(8);
                if (kind == 0) {
                    world = explorer.cold_start(world, node);
                } else if (kind < 4) {
                    world = explorer.window_passes(world, world.side[node]);
                } else {
                    std::vector<unsigned> sides;
                    for (std::size_t each = 0; each < count; ++each) {
                        sides.push_back(static_cast<unsigned>(random.below(1 + random.below(4))));
                    }
                    world = explorer.split(world, Explorer::normal(sides));
                }
                explorer.check(world);
                ++states;
            }
        }
    }
    std::printf("%zu states of 5 to 7 nodes walked\n", states);
}
