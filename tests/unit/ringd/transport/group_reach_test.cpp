#include "ringd/transport/group_reach.hpp"

#include <doctest/doctest.h>

using base::NodeId;
using transport::GroupReach;

namespace {

constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};

struct Rounds {
    GroupReach reach;
    base::Instant now{std::chrono::seconds(1)};

    Rounds() { reach.set_peers({kTwo, kThree}); }
    void round() {
        REQUIRE(reach.due() <= now);
        reach.begin_round(now);
        now = reach.due();
    }
};

}  // namespace

TEST_CASE("a peer is reached once it has answered, and not before") {
    Rounds rounds;
    CHECK_FALSE(rounds.reach.reaches(kTwo));
    rounds.round();
    rounds.reach.answered(kTwo);
    CHECK(rounds.reach.reaches(kTwo));
    CHECK_FALSE(rounds.reach.reaches(kThree));
}

TEST_CASE("a lost probe or two are forgiven, the third is not") {
    Rounds rounds;
    rounds.round();
    rounds.reach.answered(kTwo);
    rounds.round();  // The answer counts for the round before.
    rounds.round();
    rounds.round();
    CHECK(rounds.reach.reaches(kTwo));
    rounds.round();
    CHECK_FALSE(rounds.reach.reaches(kTwo));
    rounds.reach.answered(kTwo);
    CHECK(rounds.reach.reaches(kTwo));
}

TEST_CASE("an answer between misses begins the count anew") {
    Rounds rounds;
    rounds.round();
    rounds.reach.answered(kTwo);
    for (int i = 0; i < 10; ++i) {
        rounds.round();
        rounds.round();
        rounds.reach.answered(kTwo);
        CHECK(rounds.reach.reaches(kTwo));
    }
}

TEST_CASE("after a reset nobody is reached, and a probe is due at once") {
    Rounds rounds;
    rounds.round();
    rounds.reach.answered(kTwo);
    rounds.reach.reset();
    CHECK_FALSE(rounds.reach.reaches(kTwo));
    CHECK(rounds.reach.due() <= rounds.now);
}

TEST_CASE("new peers are not reached, and those that stay keep what is known") {
    Rounds rounds;
    rounds.round();
    rounds.reach.answered(kTwo);
    rounds.reach.set_peers({kTwo, NodeId{4}});
    CHECK(rounds.reach.reaches(kTwo));
    CHECK_FALSE(rounds.reach.reaches(NodeId{4}));
    rounds.reach.answered(kThree);  // No peer any more.
    CHECK_FALSE(rounds.reach.reaches(kThree));
}
