// Who forms a ring with whom: rows, the partition, and what recovery is planned.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>

#include "ringd/totem/connectivity.hpp"
#include "ringd/totem/recovery_plan.hpp"

namespace {

using base::NodeId;
using totem::Connectivity;
using totem::MutualGraph;
using totem::NodeSet;
using totem::Seq;

NodeSet nodes(std::uint32_t count) {
    NodeSet set;
    for (std::uint32_t i = 1; i <= count; ++i)
        set.insert(NodeId{i});
    return set;
}

// All hear all but the pairs named.
MutualGraph full_but(std::uint32_t count, const std::vector<std::pair<int, int>>& cut) {
    MutualGraph graph(nodes(count));
    for (int a = 1; a <= static_cast<int>(count); ++a) {
        for (int b = a + 1; b <= static_cast<int>(count); ++b) {
            if (std::ranges::find(cut, std::pair{a, b}) != cut.end()) continue;
            graph.connect(NodeId{static_cast<std::uint32_t>(a)},
                          NodeId{static_cast<std::uint32_t>(b)});
        }
    }
    return graph;
}

totem::Row row(std::uint32_t node, NodeSet hears, std::uint64_t version = 1,
               std::uint64_t incarnation = 1) {
    return {.node = NodeId{node},
            .incarnation = {.ring_seq = incarnation},
            .version = version,
            .hears = std::move(hears)};
}

}  // namespace

TEST_CASE("who all hear each other form one ring") {
    for (const std::uint32_t count : {1u, 2u, 9u, 128u, 512u}) {
        CHECK(totem::ring_of(full_but(count, {}), NodeId{1}) == nodes(count));
    }
}

TEST_CASE("A and B cut, both see C: the lower goes with C, the other is alone") {
    const MutualGraph graph = full_but(3, {{1, 2}});
    CHECK(totem::ring_of(graph, NodeId{1}) == NodeSet{NodeId{1}, NodeId{3}});
    CHECK(totem::ring_of(graph, NodeId{3}) == NodeSet{NodeId{1}, NodeId{3}});
    CHECK(totem::ring_of(graph, NodeId{2}) == NodeSet{NodeId{2}});
}

TEST_CASE(
    "for every graph of 5 nodes the rings are cliques, disjoint, and the largest come first") {
    std::vector<std::pair<int, int>> pairs;
    for (int a = 1; a <= 5; ++a)
        for (int b = a + 1; b <= 5; ++b)
            pairs.emplace_back(a, b);
    for (unsigned mask = 0; mask < (1u << pairs.size()); ++mask) {
        CAPTURE(mask);
        std::vector<std::pair<int, int>> cut;
        for (std::size_t i = 0; i < pairs.size(); ++i)
            if ((mask >> i & 1u) != 0) cut.push_back(pairs[i]);
        const MutualGraph graph = full_but(5, cut);
        const auto is_clique = [&](unsigned set) {
            return std::ranges::none_of(cut, [&](const auto& pair) {
                return (set >> (pair.first - 1) & 1u) != 0 && (set >> (pair.second - 1) & 1u) != 0;
            });
        };
        int largest = 0;
        for (unsigned set = 1; set < 32; ++set)
            if (is_clique(set)) largest = std::max(largest, std::popcount(set));

        std::size_t widest = 0;
        for (std::uint32_t node = 1; node <= 5; ++node) {
            const NodeSet ring = totem::ring_of(graph, NodeId{node});
            CHECK(ring.contains(NodeId{node}));
            widest = std::max(widest, ring.size());
            unsigned set = 0;
            for (const NodeId member : ring) {
                set |= 1u << (member.value() - 1);
                CHECK(totem::ring_of(graph, member) == ring);
            }
            CHECK(is_clique(set));
        }
        CHECK(widest == static_cast<std::size_t>(largest));
    }
}

TEST_CASE("a graph that no search finishes still gives all the same answer, soon") {
    MutualGraph graph(nodes(60));
    for (std::uint32_t a = 1; a <= 60; ++a)
        for (std::uint32_t b = a + 1; b <= 60; ++b)
            if ((a * 7 + b * 13) % 3 != 0) graph.connect(NodeId{a}, NodeId{b});
    for (const NodeId node : graph.nodes()) {
        const NodeSet ring = totem::ring_of(graph, node);
        for (const NodeId member : ring)
            CHECK(totem::ring_of(graph, member) == ring);
    }
}

TEST_CASE("among many only rows that somebody may not get from their nodes are relayed") {
    for (const std::uint32_t count : {5u, 20u}) {
        const bool are_many = count == 20;
        Connectivity known(NodeId{1}, {.ring_seq = 1});
        NodeSet others = nodes(count);
        others.erase(NodeId{1});
        known.set_configured(others);
        for (std::uint32_t node = 2; node <= count; ++node) {
            known.set_heard(NodeId{node}, true);
            known.learn(row(node, nodes(count)), Connectivity::Source::Itself);
        }
        CHECK(known.rows_to_relay().size() == (are_many ? 1 : count));
        CHECK(known.hear_each_other(nodes(count)));
        // 3 does not hear 4: whom 3 hears may not be known to 4, and the other way round.
        NodeSet without = nodes(count);
        without.erase(NodeId{4});
        known.learn(row(3, without, 2), Connectivity::Source::Itself);
        CHECK(known.rows_to_relay().size() == (are_many ? 3 : count));
        CHECK_FALSE(known.hear_each_other(nodes(count)));
        CHECK(known.hear_each_other(without));
    }
}

TEST_CASE("who has agreed to a ring hears all of it, whatever its last word was") {
    Connectivity known(NodeId{1}, {.ring_seq = 1});
    known.set_configured(nodes(4));
    for (std::uint32_t node = 2; node <= 4; ++node) {
        known.set_heard(NodeId{node}, true);
        known.learn(row(node, {NodeId{1}, NodeId{node}}), Connectivity::Source::Itself);
    }
    CHECK_FALSE(known.hear_each_other(nodes(3)));
    known.agreed(nodes(3));
    CHECK(known.hear_each_other(nodes(3)));
    CHECK_FALSE(known.row_of(NodeId{4})->hears.contains(NodeId{2}));
    // What it says itself later counts again.
    CHECK(known.learn(row(3, {NodeId{1}, NodeId{3}}, 2), Connectivity::Source::Itself));
    CHECK_FALSE(known.hear_each_other(nodes(3)));
}

TEST_CASE("hearing counts when it is mutual") {
    Connectivity known(NodeId{1}, {.ring_seq = 1});
    known.set_configured(nodes(3));
    CHECK(known.set_heard(NodeId{2}, true));
    CHECK_FALSE(known.set_heard(NodeId{2}, true));
    CHECK(known.own().version == 2);
    CHECK(known.proposal() == NodeSet{NodeId{1}});
    CHECK(known.learn(row(2, {NodeId{2}}), Connectivity::Source::Itself));
    CHECK(known.proposal() == NodeSet{NodeId{1}});
    CHECK(known.learn(row(2, {NodeId{1}, NodeId{2}}, 2), Connectivity::Source::Itself));
    CHECK(known.proposal() == NodeSet{NodeId{1}, NodeId{2}});
}

TEST_CASE("an old row, one of an earlier run and one of oneself are not believed") {
    using Source = Connectivity::Source;
    Connectivity known(NodeId{1}, {.ring_seq = 1});
    known.set_configured(nodes(3));
    known.set_heard(NodeId{2}, true);
    const NodeSet both{NodeId{1}, NodeId{2}};
    CHECK(known.learn(row(2, both, 5), Source::Itself));
    CHECK_FALSE(known.learn(row(2, {NodeId{2}}, 4), Source::Itself));
    CHECK(known.learn(row(2, both, 1, 2), Source::Relayed));  // A later run.
    CHECK_FALSE(known.learn(row(2, {NodeId{2}}, 9, 1), Source::Relayed));
    CHECK_FALSE(known.learn(row(2, both, 99, 1), Source::Relayed));
    CHECK_FALSE(known.learn(row(9, {NodeId{9}}), Source::Itself));  // Not configured.
    CHECK_FALSE(known.learn(row(1, {NodeId{1}}, 99), Source::Relayed));
    known.forget(NodeId{2});
    CHECK_FALSE(known.learn(row(2, both, 7, 2), Source::Relayed));
    CHECK(known.proposal() == NodeSet{NodeId{1}});
}

namespace {

totem::CommitEntry entry(base::RingId old_ring, std::uint64_t aru, std::vector<unsigned> beyond,
                         std::uint64_t safe_line = 0) {
    totem::CommitEntry out{.old_ring = old_ring, .holdings = {}, .safe_line = Seq{safe_line}};
    out.holdings.aru = Seq{aru};
    out.holdings.high = beyond.empty() ? Seq{aru} : Seq{beyond.back()};
    out.holdings.held.resize(totem::Holdings::bitmap_bytes(out.holdings.aru, out.holdings.high));
    for (const unsigned seq : beyond)
        out.holdings.set(Seq{seq});
    return out;
}

}  // namespace

TEST_CASE("each message that somebody lacks is sent by one who holds it") {
    const base::RingId one{.seq = 5, .representative = NodeId{1}};
    const base::RingId other{.seq = 4, .representative = NodeId{4}};
    const totem::CommitToken token{.ring = {.seq = 6, .representative = NodeId{1}},
                                   .hop = 4,
                                   .members = nodes(4),
                                   .entries = {entry(one, 3, {5, 6}, 2), entry(one, 4, {}, 3),
                                               entry(one, 2, {5, 8}, 1), entry(other, 9, {})}};

    std::vector<Seq> sent;
    for (const std::uint32_t node : {1u, 2u, 3u}) {
        const totem::RecoveryPlan plan = totem::plan_recovery(token, NodeId{node});
        CHECK(plan.transitional == NodeSet{NodeId{1}, NodeId{2}, NodeId{3}});
        CHECK(plan.safe_line == Seq{3});
        CHECK(plan.together.aru == Seq{6});
        CHECK(plan.together.has(Seq{8}));
        CHECK_FALSE(plan.together.has(Seq{7}));
        for (const Seq seq : plan.to_send) {
            CHECK(token.entries[node - 1].holdings.has(seq));
            sent.push_back(seq);
        }
    }
    std::ranges::sort(sent);
    CHECK(sent == std::vector{Seq{3}, Seq{4}, Seq{5}, Seq{6}, Seq{8}});

    const totem::RecoveryPlan alone = totem::plan_recovery(token, NodeId{4});
    CHECK(alone.transitional == NodeSet{NodeId{4}});
    CHECK(alone.to_send.empty());
}

TEST_CASE("what one of them owes to somebody who is gone, all of them deliver") {
    const base::RingId one{.seq = 5, .representative = NodeId{1}};
    const base::RingId other{.seq = 4, .representative = NodeId{4}};
    totem::CommitToken token{
        .ring = {.seq = 6, .representative = NodeId{1}},
        .hop = 3,
        .members = {NodeId{1}, NodeId{2}, NodeId{4}},
        .entries = {entry(one, 3, {}), entry(one, 3, {}), entry(other, 9, {})}};
    token.entries[1].obliged_to = {NodeId{2}, NodeId{3}};
    for (const std::uint32_t node : {1u, 2u}) {
        const totem::RecoveryPlan plan = totem::plan_recovery(token, NodeId{node});
        CHECK(plan.transitional == NodeSet{NodeId{1}, NodeId{2}});
        CHECK(plan.delivered_with == NodeSet{NodeId{1}, NodeId{2}, NodeId{3}});
    }
    CHECK(totem::plan_recovery(token, NodeId{4}).delivered_with == NodeSet{NodeId{4}});
}
