// The quorum rule: the cases of the manual page, and how it is refused.
#include "common/quorum/votes.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using base::NodeId;
using quorum::Device;
using quorum::Member;
using quorum::Recount;
using quorum::Rules;
using quorum::Standing;

std::vector<Member> nodes(std::initializer_list<std::uint32_t> ids) {
    std::vector<Member> members;
    for (const std::uint32_t id : ids) {
        members.push_back({.node = NodeId{id}});
    }
    return members;
}

// A partition that forms from scratch, then loses and gains members one decision after the other.
Standing after(const Rules& rules, std::uint32_t expected,
               std::initializer_list<std::initializer_list<std::uint32_t>> memberships) {
    Standing standing{.expected_votes = expected};
    std::uint64_t ring = 0;
    for (const auto& membership : memberships) {
        standing =
            quorum::decide(rules, standing, ++ring, nodes(membership), Device{}, Recount::Keep);
    }
    return standing;
}

}  // namespace

TEST_CASE("a strict majority of the expected votes is quorate") {
    struct Row {
        std::uint32_t expected, present, threshold;
        bool quorate;
    };
    for (const Row& row :
         {Row{1, 1, 1, true}, Row{2, 1, 2, false}, Row{3, 1, 2, false}, Row{3, 2, 2, true},
          Row{4, 2, 3, false}, Row{5, 3, 3, true}, Row{3, 5, 3, true}, Row{7, 3, 4, false}}) {
        std::vector<Member> members;
        for (std::uint32_t id = 1; id <= row.present; ++id) {
            members.push_back({.node = NodeId{id}});
        }
        const Standing standing =
            quorum::decide({}, {.expected_votes = row.expected}, 1, members, {}, Recount::Keep);
        CAPTURE(row.expected);
        CAPTURE(row.present);
        CHECK(standing.threshold == row.threshold);
        CHECK(standing.quorate == row.quorate);
    }
}

TEST_CASE("votes are weighed, and a node without votes decides nothing") {
    const std::vector<Member> heavy = {{.node = NodeId{1}, .votes = 3},
                                       {.node = NodeId{2}, .votes = 0}};
    CHECK(quorum::decide({}, {.expected_votes = 5}, 1, heavy, {}, Recount::Keep).quorate);
    const std::vector<Member> light = {{.node = NodeId{2}, .votes = 0},
                                       {.node = NodeId{3}, .votes = 2}};
    CHECK_FALSE(quorum::decide({}, {.expected_votes = 5}, 1, light, {}, Recount::Keep).quorate);
}

TEST_CASE("two_node lets one go on, and ends with a third voter") {
    const Rules rules{.two_node = true};
    CHECK(after(rules, 2, {{1, 2}, {1}}).quorate);
    CHECK(after(rules, 2, {{2}}).quorate);
    CHECK(after(rules, 2, {{1}, {1, 2, 3}}).threshold == 2);
}

TEST_CASE("wait_for_all holds a partition back after a cold start, and only then") {
    const Rules rules{.wait_for_all = true};
    CHECK_FALSE(after(rules, 4, {{1, 2, 3}}).quorate);
    CHECK(after(rules, 4, {{1, 2, 3}, {1, 2, 3, 4}}).quorate);
    // Quorum lost and found again: those who have seen all do not wait for all once more.
    CHECK(after(rules, 4, {{1, 2, 3, 4}, {1, 2}, {1, 2, 3}}).quorate);
}

TEST_CASE("one that has seen all tells those who have not") {
    const Rules rules{.wait_for_all = true};
    const Standing old = after(rules, 3, {{1, 2, 3}, {1}});
    const Standing fresh{.expected_votes = 3};
    const Standing met =
        quorum::decide(rules, quorum::merge(fresh, old), 9, nodes({1, 2}), {}, Recount::Keep);
    CHECK(met.quorate);
}

TEST_CASE("a tie goes to the half with the breaker of those who were quorate last") {
    const Rules lowest{.tie_breaker = quorum::LowestNode{}};
    CHECK(after(lowest, 4, {{1, 2, 3, 4}, {1, 2}}).quorate);
    CHECK_FALSE(after(lowest, 4, {{1, 2, 3, 4}, {3, 4}}).quorate);
    const Rules highest{.tie_breaker = quorum::HighestNode{}};
    CHECK(after(highest, 4, {{1, 2, 3, 4}, {3, 4}}).quorate);
    CHECK_FALSE(after(highest, 4, {{1, 2, 3, 4}, {1, 2}}).quorate);
    const Rules listed{.tie_breaker = quorum::FirstOf{{NodeId{9}, NodeId{2}, NodeId{1}}}};
    CHECK(after(listed, 4, {{1, 2, 3, 4}, {2, 4}}).quorate);
    CHECK_FALSE(after(listed, 4, {{1, 2, 3, 4}, {1, 3}}).quorate);
    // The breaker left first: the next one of those who were left decides.
    CHECK(after(lowest, 4, {{1, 2, 3, 4}, {2, 3, 4}, {2, 3}}).quorate);
    // Never quorate before: no breaker.
    CHECK_FALSE(after(lowest, 4, {{1, 2}}).quorate);
}

TEST_CASE("last_man_standing goes down to two, and to one with a tie breaker") {
    for (const bool breaker : {false, true}) {
        Rules rules{.last_man_standing = true};
        if (breaker) rules.tie_breaker = quorum::LowestNode{};
        Standing standing = after(rules, 5, {{1, 2, 3, 4, 5}});
        std::vector<Member> left = nodes({1, 2, 3, 4, 5});
        std::uint64_t ring = 10;
        while (left.size() > 1) {
            left.pop_back();
            standing = quorum::decide(rules, standing, ++ring, left, {}, Recount::Keep);
            CAPTURE(left.size());
            CHECK(standing.quorate == (left.size() > 1 || breaker));
            standing = quorum::stand_alone(rules, standing, ring, left, {});
        }
    }
}

TEST_CASE("who lowered what it expects is not overtaken by those it left behind") {
    const Rules rules{.last_man_standing = true};
    Standing standing = after(rules, 5, {{1, 2, 3, 4, 5}, {1, 2, 3}});
    standing = quorum::stand_alone(rules, standing, 3, nodes({1, 2, 3}), {});
    CHECK(standing.expected_votes == 3);
    const Standing one_two = quorum::decide(rules, standing, 4, nodes({1, 2}), {}, Recount::Keep);
    CHECK(one_two.quorate);
    // 3 was there when it was lowered, 4 and 5 were not: together they have 3 of 5 votes.
    const Standing behind = after(rules, 5, {{1, 2, 3, 4, 5}, {4, 5}});
    CHECK_FALSE(quorum::decide(rules, quorum::merge(behind, standing), 5, nodes({3, 4, 5}), {},
                               Recount::Keep)
                    .quorate);
}

TEST_CASE("a device votes, and with master_wins alone decides") {
    const Device device{.votes = 1, .casts = true};
    CHECK(quorum::decide({}, {.expected_votes = 3}, 1, nodes({1}), device, Recount::Keep).quorate);
    const Device silent{.votes = 1};
    CHECK_FALSE(
        quorum::decide({}, {.expected_votes = 3}, 1, nodes({1}), silent, Recount::Keep).quorate);
    const Device master{.votes = 1, .casts = true, .master_wins = true};
    CHECK(quorum::decide({}, {.expected_votes = 9}, 1, nodes({1}), master, Recount::Keep).quorate);
}

TEST_CASE("expected votes are set within what is there and what keeps the quorum") {
    const Standing three = after({}, 5, {{1, 2, 3}});
    CHECK_FALSE(quorum::set_expected({}, three, 2, nodes({1, 2, 3}), {}, 2).has_value());
    CHECK_FALSE(quorum::set_expected({}, three, 2, nodes({1, 2, 3}), {}, 6).has_value());
    CHECK(quorum::set_expected({}, three, 2, nodes({1, 2, 3}), {}, 3)->threshold == 2);
    const Standing one = after({}, 5, {{1}});
    CHECK(quorum::set_expected({}, one, 2, nodes({1}), {}, 1)->quorate);
}

TEST_CASE("a member that leaves in order is no longer expected, down to the floor") {
    const Rules rules{.allow_downscale = true};
    const Standing five = after(rules, 5, {{1, 2, 3, 4, 5}});
    const auto four = quorum::downscale(rules, five, 2, nodes({1, 2, 3, 4}), {}, 1, 3);
    CHECK(four.expected_votes == 4);
    const auto floor = quorum::downscale(rules, five, 2, nodes({1, 2}), {}, 3, 3);
    CHECK(floor.expected_votes == 3);
    CHECK(quorum::downscale({}, five, 2, nodes({1, 2}), {}, 3, 3) == five);
}

TEST_CASE("merging is the same in any order") {
    const Rules rules{.wait_for_all = true, .last_man_standing = true};
    const std::vector<Standing> all = {after(rules, 4, {{1, 2, 3, 4}, {1, 2, 3}}),
                                       after(rules, 4, {{1, 2, 3, 4}, {4}}),
                                       {.expected_votes = 7},
                                       after({}, 2, {{1, 2}})};
    for (const Standing& a : all) {
        for (const Standing& b : all) {
            CHECK(quorum::merge(a, b) == quorum::merge(b, a));
            for (const Standing& c : all) {
                CHECK(quorum::merge(quorum::merge(a, b), c) ==
                      quorum::merge(a, quorum::merge(b, c)));
            }
        }
    }
}
