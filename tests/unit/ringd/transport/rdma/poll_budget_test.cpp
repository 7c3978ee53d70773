#include "ringd/transport/rdma/poll_budget.hpp"

#include <doctest/doctest.h>

using std::chrono::microseconds;
using transport::PollBudget;

namespace {

// Turns in which it looked, of `turns` whose outcome is always the same.
int looks(PollBudget& budget, int turns, bool comes) {
    int looked = 0;
    for (int i = 0; i < turns; ++i) {
        if (budget.next() == base::Duration::zero()) continue;
        ++looked;
        comes ? budget.came() : budget.did_not_come();
    }
    return looked;
}

}  // namespace

TEST_CASE("looking goes on for as long as it pays") {
    PollBudget budget(microseconds(20));
    CHECK(budget.next() == microseconds(20));
    CHECK(looks(budget, 1000, true) == 1000);
}

TEST_CASE("where nothing comes it is tried once in a while only") {
    PollBudget budget(microseconds(20));
    CHECK(looks(budget, 6400, false) <= 102);
    CHECK(looks(budget, 6400, false) == 100);
}

TEST_CASE("it begins again when it pays again, and soon ends when it does not") {
    PollBudget budget(microseconds(20));
    looks(budget, 1000, false);
    CHECK(looks(budget, 10000, true) > 8000);
    CHECK(looks(budget, 200, false) < 20);
}

TEST_CASE("half of the looks must pay") {
    PollBudget budget(microseconds(20));
    int looked = 0;
    for (int i = 0; i < 6400; ++i) {
        if (budget.next() == base::Duration::zero()) continue;
        ++looked % 4 == 0 ? budget.came() : budget.did_not_come();
    }
    CHECK(looked < 200);
}

TEST_CASE("with one processor it never looks") {
    PollBudget budget(base::Duration::zero());
    CHECK(looks(budget, 1000, true) == 0);
}
