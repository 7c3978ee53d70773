// Two disjoint partitions are never quorate at once: every cluster of up to four nodes with each
// combination of the options, through all sequences of splits, merges, cold starts and lowered
// expectations up to a depth; larger ones by seeded walks. Prints how many states were visited.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
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

struct World {
    std::vector<unsigned> side;       // Of each node: which partition it is in.
    std::vector<Standing> standings;  // Of each node.
    std::uint64_t ring_seq = 1;
};

// Same for worlds that differ only in how high the ring seqs are.
std::string key_of(const World& world) {
    std::set<std::uint64_t> seqs;
    for (const Standing& standing : world.standings) {
        seqs.insert(standing.last_quorate_seq);
    }
    std::string key;
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
    Explorer(const Rules& rules, std::vector<std::uint32_t> votes)
        : rules_(rules), votes_(std::move(votes)) {
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
    [[nodiscard]] World split(World world, const std::vector<unsigned>& sides) const {
        world.side = sides;
        ++world.ring_seq;
        const World old = world;
        for (const unsigned side : std::set<unsigned>(sides.begin(), sides.end())) {
            const auto members = members_of(world, side);
            Standing met = old.standings.at(index_of(members.front()));
            for (const Member& member : members) {
                met = quorum::merge(met, old.standings.at(index_of(member)));
            }
            settle(world, members,
                   quorum::decide(rules_, met, world.ring_seq, members, Device{}, Recount::Keep));
        }
        return world;
    }

    // The window of last_man_standing passes on one side.
    [[nodiscard]] World window_passes(World world, unsigned side) const {
        const auto members = members_of(world, side);
        const Standing before = world.standings.at(index_of(members.front()));
        settle(world, members,
               quorum::stand_alone(rules_, before, world.ring_seq, members, Device{}));
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

    Rules rules_;
    std::vector<std::uint32_t> votes_;
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

}  // namespace

TEST_CASE("never two quorate partitions: exhaustively for up to four nodes") {
    std::size_t states = 0;
    for (const Rules& rules : all_rules()) {
        for (const std::vector<std::uint32_t>& votes : {std::vector<std::uint32_t>{1, 1},
                                                        {2, 1},
                                                        {1, 1, 1},
                                                        {0, 1, 1},
                                                        {3, 1, 2},
                                                        {2, 2, 1}}) {
            states += explore(Explorer(rules, votes), 8);
        }
        for (const std::vector<std::uint32_t>& votes :
             {std::vector<std::uint32_t>{1, 1, 1, 1}, {0, 1, 2, 3}, {2, 1, 1, 2}}) {
            states += explore(Explorer(rules, votes), 4);
        }
    }
    std::printf("%zu states of up to 4 nodes explored\n", states);
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
