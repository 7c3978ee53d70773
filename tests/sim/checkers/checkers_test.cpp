// Each rule on a story told by hand: what keeps it, and the smallest story that breaks it.
#include "tests/sim/checkers/checkers.hpp"

#include <doctest/doctest.h>

#include "tests/sim/checkers/story.hpp"

namespace sim {
namespace {

using Guarantee = totem::Guarantee;

std::string rules_of(const Trace& trace) {
    std::string rules;
    const Report report = check(trace);
    for (const Violation& violation : report.violations()) {
        const std::string rule = violation.rule;
        if (rules.find(rule) == std::string::npos) rules += (rules.empty() ? "" : " ") + rule;
    }
    return rules;
}

bool breaks(const Story& story, const char* rule) {
    return check(story.trace()).has(rule);
}

TEST_CASE("a cluster that forms, orders, splits and merges keeps all rules") {
    Story story;
    story.form(4, {1, 2, 3});
    story.send(1);
    story.send(2, Guarantee::Safe);
    story.deliver({1, 2, 3}, {.ring = 4, .seq = 1, .sender = 1, .number = 1});
    story.deliver({1, 2, 3},
                  {.ring = 4, .seq = 2, .sender = 2, .number = 1, .guarantee = Guarantee::Safe});
    story.move(4, 8, {1, 2}, {1, 2});
    story.move(4, 12, {3}, {3});
    story.send(3);
    story.deliver({3}, {.ring = 12, .seq = 1, .sender = 3, .number = 1});
    story.phase({1, 2, 3});
    story.move(8, 16, {1, 2}, {1, 2, 3});
    story.move(12, 16, {3}, {1, 2, 3});
    story.end_phase();
    CHECK(rules_of(story.trace()) == "");
}

TEST_CASE("a crash excuses from what is owed") {
    Story story;
    story.form(4, {1, 2});
    story.send(1, Guarantee::Safe);
    story.send(2);
    story.deliver({1},
                  {.ring = 4, .seq = 1, .sender = 1, .number = 1, .guarantee = Guarantee::Safe});
    story.crash(2);
    story.move(4, 8, {1}, {1});
    CHECK(rules_of(story.trace()) == "");
}

TEST_CASE("a transitional configuration may skip what nobody in it can have") {
    Story story;
    story.form(4, {1, 2, 3});
    story.send(3);
    story.send(2);
    story.deliver({3}, {.ring = 4, .seq = 1, .sender = 3, .number = 1});
    story.crash(3);
    for (const std::uint32_t node : {1u, 2u}) {
        story.add(node, Stored{Story::ring(8)});
        story.transit(node, 8, 4, {1, 2});
        story.deliver({node}, {.ring = 4, .seq = 2, .sender = 2, .number = 1});
        story.install(node, 8, 4, {1, 2});
    }
    CHECK(rules_of(story.trace()) == "");
}

TEST_CASE("B1: what nobody sent") {
    Story story;
    story.form(4, {1, 2});
    story.deliver({2}, {.ring = 4, .seq = 1, .sender = 1, .number = 1});
    CHECK(breaks(story, "B1"));
}

TEST_CASE("B2: the same message twice") {
    Story story;
    story.form(4, {1});
    story.send(1);
    story.deliver({1}, {.ring = 4, .seq = 1, .sender = 1, .number = 1});
    story.deliver({1}, {.ring = 4, .seq = 2, .sender = 1, .number = 1});
    CHECK(breaks(story, "B2"));
    CHECK(breaks(story, "B3"));
}

TEST_CASE("B4: a delivery before the first configuration") {
    Story story;
    story.start(1);
    story.send(1);
    story.deliver({1}, {.ring = 4, .seq = 1, .sender = 1, .number = 1});
    CHECK(breaks(story, "B4"));
}

TEST_CASE("C1, C2: members without oneself, and members that differ") {
    Story story;
    story.form(4, {1, 2});
    story.start(3);
    story.add(3, Stored{Story::ring(4)});
    story.install(3, 4, 0, {1, 2});
    CHECK(breaks(story, "C1"));
    Story other;
    other.form(4, {1, 2});
    other.start(3);
    other.add(3, Stored{Story::ring(4)});
    other.install(3, 4, 0, {1, 2, 3});
    CHECK(breaks(other, "C2"));
}

TEST_CASE("C3: two regular configurations without a transitional one") {
    Story story;
    story.form(4, {1});
    story.add(1, Stored{Story::ring(8)});
    story.install(1, 8, 4, {1});
    CHECK(rules_of(story.trace()) == "C3");
}

TEST_CASE("C4: somebody came along and is not named") {
    Story story;
    story.form(4, {1, 2});
    story.move(4, 8, {1}, {1, 2});
    story.move(4, 8, {2}, {1, 2});
    CHECK(breaks(story, "C4"));
}

TEST_CASE("C5: a ring id goes back, or is used in two lives") {
    Story story;
    story.form(8, {1});
    story.move(8, 4, {1}, {1});
    CHECK(breaks(story, "C5"));
    Story twice;
    twice.form(4, {1});
    twice.crash(1);
    twice.form(4, {1});
    CHECK(breaks(twice, "C5"));
}

TEST_CASE("R1: a delivery before all members have stored the ring") {
    Story story;
    story.start(1);
    story.start(2);
    story.add(1, Stored{Story::ring(4)});
    story.install(1, 4, 0, {1, 2});
    story.send(1);
    story.deliver({1}, {.ring = 4, .seq = 1, .sender = 1, .number = 1});
    story.add(2, Stored{Story::ring(4)});
    CHECK(breaks(story, "R1"));
}

TEST_CASE("D1: not delivered to its own sender") {
    Story story;
    story.form(4, {1, 2});
    story.send(1);
    story.deliver({2}, {.ring = 4, .seq = 1, .sender = 1, .number = 1});
    story.move(4, 8, {1}, {1});
    CHECK(breaks(story, "D1"));
}

TEST_CASE("D2: two that move together deliver different sets") {
    Story story;
    story.form(4, {1, 2, 3});
    story.send(3);
    story.deliver({1, 3}, {.ring = 4, .seq = 1, .sender = 3, .number = 1});
    story.move(4, 8, {1, 2}, {1, 2});
    CHECK(breaks(story, "D2"));
}

TEST_CASE("D3: two messages in one place") {
    Story story;
    story.form(4, {1, 2});
    story.send(1);
    story.send(2);
    story.deliver({1}, {.ring = 4, .seq = 1, .sender = 1, .number = 1});
    story.deliver({2}, {.ring = 4, .seq = 1, .sender = 2, .number = 1});
    CHECK(breaks(story, "D3"));
}

TEST_CASE("D4: a gap in a regular configuration") {
    Story story;
    story.form(4, {1, 2});
    story.send(1);
    story.send(1);
    story.deliver({1}, {.ring = 4, .seq = 1, .sender = 1, .number = 1});
    story.deliver({1, 2}, {.ring = 4, .seq = 2, .sender = 1, .number = 2});
    CHECK(breaks(story, "D4"));
}

TEST_CASE("D5: a transitional configuration skips what a member has") {
    Story story;
    story.form(4, {1, 2, 3});
    story.send(3);
    story.send(2);
    story.deliver({1}, {.ring = 4, .seq = 1, .sender = 3, .number = 1});
    story.transit(2, 8, 4, {1, 2});
    story.deliver({2}, {.ring = 4, .seq = 2, .sender = 2, .number = 1});
    CHECK(breaks(story, "D5"));
}

TEST_CASE("D6: a message overtakes an earlier one of its sender, unless it is urgent") {
    const auto tell = [](bool urgent) {
        Story story;
        story.form(4, {1});
        story.send(1);
        story.send(1, Guarantee::Agreed, urgent);
        story.deliver({1}, {.ring = 4, .seq = 1, .sender = 1, .number = 2});
        story.deliver({1}, {.ring = 4, .seq = 2, .sender = 1, .number = 1});
        return story;
    };
    CHECK(breaks(tell(false), "D6"));
    CHECK(rules_of(tell(true).trace()) == "");
}

TEST_CASE("D6: a message comes before what its sender knew") {
    Story story;
    story.form(4, {1, 2});
    story.send(1);
    story.deliver({2}, {.ring = 4, .seq = 5, .sender = 1, .number = 1});
    story.send(2);
    story.deliver({1}, {.ring = 4, .seq = 3, .sender = 2, .number = 1});
    CHECK(breaks(story, "D6"));
}

TEST_CASE("D7: a safe message that a member leaves without") {
    Story story;
    story.form(4, {1, 2});
    story.send(1, Guarantee::Safe);
    story.deliver({1},
                  {.ring = 4, .seq = 1, .sender = 1, .number = 1, .guarantee = Guarantee::Safe});
    story.move(4, 8, {2}, {2});
    CHECK(breaks(story, "D7"));
}

TEST_CASE("D7: safe although a member does not hold it yet") {
    const auto tell = [](bool held) {
        Story story;
        story.form(4, {1, 2});
        story.send(1, Guarantee::Safe);
        story.add(1, DataSent{.ring = Story::ring(4), .seq = totem::Seq{1}});
        if (held) story.add(2, DataReceived{.ring = Story::ring(4), .seq = totem::Seq{1}});
        story.deliver(
            {1, 2}, {.ring = 4, .seq = 1, .sender = 1, .number = 1, .guarantee = Guarantee::Safe});
        return story;
    };
    CHECK(breaks(tell(false), "D7"));
    CHECK(rules_of(tell(true).trace()) == "");
}

TEST_CASE("P3: taken and lost; never delivered at all") {
    Story story;
    story.form(4, {1});
    story.send(1);
    story.add(1, TakenTo{1});
    story.move(4, 8, {1}, {1});
    CHECK(breaks(story, "P3"));
    Story never;
    never.form(4, {1});
    never.send(1);
    CHECK(rules_of(never.trace()) == "P3");
}

TEST_CASE("C7: no agreement, or changes after the bound") {
    Story story;
    story.form(4, {1, 2});
    story.move(4, 8, {1}, {1});
    story.phase({1, 2});
    story.end_phase();
    CHECK(breaks(story, "C7"));
    Story late;
    late.form(4, {1, 2});
    late.phase({1, 2});
    late.wait(std::chrono::seconds(2));
    late.move(4, 8, {1, 2}, {1, 2});
    late.end_phase();
    CHECK(rules_of(late.trace()) == "C7");
}

TEST_CASE("P2: a ring of nodes that do not hear one another, or one that is too small") {
    Story story;
    story.form(4, {1, 2, 3});
    story.phase({1, 2, 3}, {{1, 2}});
    story.end_phase();
    CHECK(breaks(story, "P2"));
    Story apart;
    apart.form(4, {1});
    apart.form(8, {2});
    apart.phase({1, 2});
    apart.end_phase();
    CHECK(rules_of(apart.trace()) == "P2");
}

TEST_CASE("P2: the cut between two that both see a third leaves two rings") {
    Story story;
    story.form(4, {1, 3});
    story.form(8, {2});
    story.phase({1, 2, 3}, {{1, 2}});
    story.end_phase();
    CHECK(rules_of(story.trace()) == "");
}

TEST_CASE("T1 to T4: the token") {
    const auto token = [](std::uint64_t hop, std::uint64_t seq, std::uint64_t aru,
                          std::uint64_t digest) {
        return TokenSent{.ring = Story::ring(4),
                         .token_seq = totem::TokenSeq{hop},
                         .seq = totem::Seq{seq},
                         .aru = totem::Seq{aru},
                         .digest = digest};
    };
    Story story;
    story.form(4, {1, 2});
    story.add(1, token(1, 5, 5, 1));
    story.add(1, token(1, 5, 5, 1));  // Sent again: the same token.
    story.add(2, token(2, 6, 5, 2));
    CHECK(rules_of(story.trace()) == "");
    SUBCASE("two tokens") {
        story.add(1, token(2, 7, 5, 3));
        CHECK(rules_of(story.trace()) == "T1");
    }
    SUBCASE("aru above seq") {
        story.add(1, token(3, 7, 8, 3));
        CHECK(rules_of(story.trace()) == "T3");
    }
    SUBCASE("seq goes back") {
        story.add(1, token(3, 5, 5, 3));
        CHECK(rules_of(story.trace()) == "T4");
    }
}

TEST_CASE("T2, T5, T6: one message a seq, one list of members a ring") {
    Story story;
    story.form(4, {1, 2});
    story.add(1, DataSent{.ring = Story::ring(4), .seq = totem::Seq{1}, .digest = 1});
    story.add(1, CommitTokenSent{.ring = Story::ring(8), .members = {base::NodeId{1}}});
    CHECK(rules_of(story.trace()) == "");
    SUBCASE("T2") {
        story.add(2, DataSent{.ring = Story::ring(4), .seq = totem::Seq{1}, .digest = 2});
        CHECK(rules_of(story.trace()) == "T2");
    }
    SUBCASE("T5") {
        story.add(2, CommitTokenSent{.ring = Story::ring(8), .members = {base::NodeId{2}}});
        CHECK(rules_of(story.trace()) == "T5");
    }
    SUBCASE("T6") {
        story.move(4, 8, {1, 2}, {1, 2});
        CHECK(rules_of(story.trace()) == "T6");
    }
}

TEST_CASE("W1, W2, W3: too large, without end, malformed") {
    Story story;
    story.start(1);
    SUBCASE("W1") {
        story.add(1, TooLarge{.bytes = 2000, .limit = 1200});
        CHECK(breaks(story, "W1"));
    }
    SUBCASE("W2") {
        story.add(1, Spinning{});
        CHECK(breaks(story, "W2"));
    }
    SUBCASE("W3") {
        story.add(1, Malformed{.bytes = 3});
        CHECK(breaks(story, "W3"));
    }
}

TEST_CASE("equal traces have equal hashes, and one more byte another") {
    Story story;
    story.form(4, {1, 2});
    Trace other = story.trace();
    CHECK(hash_of(story.trace()) == hash_of(other));
    other.back().at += std::chrono::nanoseconds(1);
    CHECK(hash_of(story.trace()) != hash_of(other));
}

}  // namespace
}  // namespace sim
