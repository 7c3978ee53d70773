#include "cmapd/core/shutdown.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace {

using cmapd::AnswerShutdown;
using cmapd::AskTracker;
using cmapd::ClientId;
using cmapd::EndNode;
using cmapd::Shutdown;
using cmapd::ShutdownActions;
using cmapd::ShutdownKind;
using cmapd::ShutdownOutcome;

constexpr ClientId kTool{1};
constexpr ClientId kPacemaker{2};
constexpr ClientId kOther{3};

std::vector<ClientId> asked(const ShutdownActions& actions) {
    std::vector<ClientId> clients;
    for (const auto& action : actions) {
        if (const auto* ask = std::get_if<AskTracker>(&action)) clients.push_back(ask->tracker);
    }
    return clients;
}
std::optional<ShutdownOutcome> outcome(const ShutdownActions& actions) {
    for (const auto& action : actions) {
        if (const auto* answer = std::get_if<AnswerShutdown>(&action)) return answer->outcome;
    }
    return std::nullopt;
}
bool ends(const ShutdownActions& actions) {
    return std::ranges::any_of(
        actions, [](const auto& action) { return std::holds_alternative<EndNode>(action); });
}

struct World {
    World() {
        shutdown.start_tracking(kPacemaker);
        shutdown.start_tracking(kOther);
    }
    ShutdownActions request(ShutdownKind kind, ClientId from = kTool) {
        ShutdownActions actions;
        shutdown.request(from, kind, actions);
        return actions;
    }
    ShutdownActions answer(ClientId from, bool agrees) {
        ShutdownActions actions;
        shutdown.answer(from, agrees, actions);
        return actions;
    }
    Shutdown shutdown;
};

}  // namespace

TEST_CASE("one no is a veto at once, and late answers mean nothing") {
    World world;
    CHECK(asked(world.request(ShutdownKind::Request)) == std::vector{kPacemaker, kOther});
    const auto vetoed = world.answer(kPacemaker, false);
    CHECK(outcome(vetoed) == ShutdownOutcome::Vetoed);
    CHECK_FALSE(ends(vetoed));
    CHECK(world.answer(kOther, true).empty());
    CHECK_FALSE(world.shutdown.is_undecided());
}

TEST_CASE("all must say yes; who has gone or tracks no more has nothing against it") {
    World world;
    CHECK_FALSE(outcome(world.request(ShutdownKind::Request)));
    CHECK(world.answer(kPacemaker, true).empty());
    ShutdownActions actions;
    world.shutdown.gone(kOther, actions);
    CHECK(outcome(actions) == ShutdownOutcome::Goes);
    CHECK(ends(actions));
}

TEST_CASE("silence is a veto") {
    World world;
    world.request(ShutdownKind::Request);
    ShutdownActions actions;
    world.shutdown.time_out(actions);
    CHECK(outcome(actions) == ShutdownOutcome::Vetoed);
    actions.clear();
    world.shutdown.time_out(actions);
    CHECK(actions.empty());
}

TEST_CASE("regardless tells, immediate doesn't, and neither waits") {
    World world;
    const auto regardless = world.request(ShutdownKind::Regardless);
    CHECK(asked(regardless).size() == 2);
    CHECK(ends(regardless));
    World other;
    const auto immediate = other.request(ShutdownKind::Immediate);
    CHECK(asked(immediate).empty());
    CHECK(ends(immediate));
}

TEST_CASE("who asks is not asked, and two at once are one") {
    World world;
    CHECK(asked(world.request(ShutdownKind::Request, kPacemaker)) == std::vector{kOther});
    CHECK(outcome(world.request(ShutdownKind::Immediate)) == ShutdownOutcome::InProgress);
    CHECK(ends(world.answer(kOther, true)));
}

TEST_CASE("without trackers it goes at once; tracking twice is told") {
    Shutdown shutdown;
    ShutdownActions actions;
    shutdown.request(kTool, ShutdownKind::Request, actions);
    CHECK(ends(actions));
    CHECK(shutdown.start_tracking(kTool));
    CHECK_FALSE(shutdown.start_tracking(kTool));
}
