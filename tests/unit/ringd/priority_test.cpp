// When ringd asks for real-time priority. What the kernel says to it: integration.priority.
#include "ringd/priority.hpp"

#include <doctest/doctest.h>

namespace {

using ringd::LatenessRule;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::Instant kStart{seconds(1000)};

// Late at `now`; when it is over.
base::Instant over_after(LatenessRule& rule, base::Instant now) {
    REQUIRE(rule.ran(now, milliseconds(80)));
    const base::Instant until = *rule.next_deadline();
    CHECK_FALSE(rule.pass_deadline(until - milliseconds(1)));
    CHECK(rule.is_urgent());
    REQUIRE(rule.pass_deadline(until));
    CHECK_FALSE(rule.is_urgent());
    CHECK_FALSE(rule.next_deadline());
    return until;
}

TEST_CASE("a busy moment is not late") {
    LatenessRule rule;
    CHECK_FALSE(rule.ran(kStart, LatenessRule::kLateMin - milliseconds(1)));
    CHECK_FALSE(rule.is_urgent());
    CHECK_FALSE(rule.next_deadline());
}

TEST_CASE("late is urgent until it has run in time for a while") {
    LatenessRule rule;
    REQUIRE(rule.ran(kStart, LatenessRule::kLateMin));
    CHECK(rule.is_urgent());
    CHECK(*rule.next_deadline() == kStart + LatenessRule::kHoldMin);
    // Late in spite of it: from there on, and nothing new.
    CHECK_FALSE(rule.ran(kStart + seconds(4), milliseconds(60)));
    CHECK(*rule.next_deadline() == kStart + seconds(4) + LatenessRule::kHoldMin);
}

TEST_CASE("each time that it is late again soon it stays so twice as long") {
    LatenessRule rule;
    base::Instant now = kStart;
    base::Duration expected = LatenessRule::kHoldMin;
    for (int i = 0; i < 10; ++i) {
        CAPTURE(i);
        const base::Instant until = over_after(rule, now);
        CHECK(until - now == expected);
        now = until + milliseconds(100);
        expected = std::min(2 * expected, LatenessRule::kHoldMax);
    }
    now += LatenessRule::kHoldMax;
    CHECK(over_after(rule, now) - now == LatenessRule::kHoldMin);
}

}  // namespace
