// quorumd's core on the toy ring: requests and their answers, the device, what is told and kept.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/quorumd/toy_cluster.hpp"

namespace {

using namespace quorum_test;
using quorum::Outcome;
using quorum::Token;
using std::chrono::milliseconds;
using std::chrono::seconds;

ToyOptions nodes(std::size_t count, const quorum::Rules& rules = {}) {
    ToyOptions options;
    options.votes.assign(count, 1);
    options.config.options.expected_votes = static_cast<std::uint32_t>(count);
    options.config.options.rules = rules;
    options.config.lease = seconds(4);
    options.config.renewal = milliseconds(500);
    return options;
}

void settle(ToyCluster& cluster) {
    cluster.run(seconds(10));
}

std::optional<Outcome> answer_to(ToyCluster& cluster, std::uint32_t node, std::uint64_t token) {
    for (const quorum::Action& action : cluster.told(node)) {
        const auto* answer = std::get_if<quorum::Answer>(&action);
        if (answer != nullptr && answer->token == Token{token}) return answer->outcome;
    }
    return std::nullopt;
}

template <class What>
std::optional<Outcome> ask(ToyCluster& cluster, std::uint32_t node, What what) {
    static std::uint64_t token = 0;
    cluster.give(node, quorum::Request{.token = Token{++token}, .what = what});
    cluster.run(seconds(1));
    return answer_to(cluster, node, token);
}

void poll(ToyCluster& cluster, std::uint32_t node, bool casts) {
    cluster.give(node, quorum::DevicePoll{.casts = casts, .ring = cluster.status(node).view.ring});
}

}  // namespace

TEST_CASE("a request is answered once it took effect everywhere, or why it did not") {
    ToyCluster cluster(nodes(3), 1);
    CHECK(ask(cluster, 1, quorum::SetExpected{.expected_votes = 3}) == Outcome::TryAgain);
    settle(cluster);
    CHECK(ask(cluster, 1, quorum::SetExpected{.expected_votes = 2}) == Outcome::Refused);
    CHECK(ask(cluster, 1, quorum::SetExpected{.expected_votes = 9}) == Outcome::Refused);
    CHECK(ask(cluster, 2, quorum::SetExpected{.expected_votes = 5}) == Outcome::Done);
    CHECK(ask(cluster, 3, quorum::SetVotes{.node = NodeId{7}, .votes = 2}) == Outcome::NoSuchNode);
    CHECK(ask(cluster, 3, quorum::SetVotes{.node = NodeId{1}, .votes = 2}) == Outcome::Done);
    for (const std::uint32_t node : cluster.ids()) {
        CHECK(cluster.status(node).standing.expected_votes == 5);
        CHECK(cluster.status(node).standing.total_votes == 4);
        CHECK(cluster.status(node).nodes.at(NodeId{1}).said.votes == 2);
    }
    CHECK(cluster.faults.empty());
}

TEST_CASE("waiting for all can be ended") {
    ToyCluster cluster(nodes(3, {.wait_for_all = true}), 2);
    cluster.power_off(3);
    settle(cluster);
    CHECK_FALSE(cluster.is_quorate(1));
    CHECK(cluster.status(1).reason == quorum::Reason::WaitingForAll);
    CHECK(ask(cluster, 2, quorum::CancelWaitForAll{}) == Outcome::Done);
    cluster.run(seconds(1));
    CHECK(cluster.is_quorate(1));
    CHECK(cluster.is_quorate(2));
}

TEST_CASE("of two nodes with a device the one for which it votes goes on") {
    ToyOptions options = nodes(2);
    options.config.options.expected_votes = 3;
    options.config.options.device_votes = 1;
    options.config.device_sync_timeout = seconds(30);
    ToyCluster cluster(options, 3);
    settle(cluster);
    for (const std::uint32_t node : cluster.ids()) {
        cluster.give(node, quorum::DeviceRegister{.name = "Qdevice"});
        poll(cluster, node, true);
    }
    cluster.run(seconds(1));
    CHECK(cluster.status(1).standing.total_votes == 3);
    cluster.partition({0, 1});
    cluster.run(seconds(3));
    // Both wait for its word; followers of what was decided are told at the end of its lease.
    for (const std::uint32_t node : cluster.ids()) {
        CHECK_FALSE(cluster.is_quorate(node));
        CHECK(cluster.status(node).reason == quorum::Reason::WaitingForDevice);
        CHECK(cluster.status(node).holds);
    }
    cluster.run(seconds(1));
    poll(cluster, 1, true);
    poll(cluster, 2, false);
    cluster.run(seconds(1));
    CHECK(cluster.is_quorate(1));
    CHECK_FALSE(cluster.is_quorate(2));
    CHECK(cluster.status(1).standing.total_votes == 2);
    SUBCASE("until its program is gone") {
        cluster.give(1, quorum::DeviceLost{});
        cluster.run(seconds(1));
        CHECK_FALSE(cluster.is_quorate(1));
        CHECK(cluster.status(1).device_name == "Qdevice");
    }
    SUBCASE("until it does not poll in time") {
        cluster.run(options.config.device_timeout + seconds(1));
        CHECK_FALSE(cluster.is_quorate(1));
        CHECK(cluster.status(1).counters.device_timeouts == 1);
    }
}

TEST_CASE("a device is not let in beside options that exclude it") {
    for (const quorum::Rules& rules :
         {quorum::Rules{.two_node = true}, quorum::Rules{.last_man_standing = true},
          quorum::Rules{.allow_downscale = true},
          quorum::Rules{.tie_breaker = quorum::LowestNode{}}}) {
        const quorum::Core core({.options = {.rules = rules}}, 1);
        CHECK(core.may_register() == Outcome::NotAllowed);
    }
    CHECK(quorum::Core({}, 1).may_register() == Outcome::Done);
}

TEST_CASE("a file of another version with the same options is not named as differing") {
    const ToyOptions options = nodes(3);
    ToyCluster cluster(options, 5);
    settle(cluster);
    quorum::Config next = options.config;
    next.options.config_version = 7;
    cluster.give(1, quorum::Reconfigure{.config = next});
    cluster.run(seconds(1));
    REQUIRE(cluster.status(2).options.config_version == 7);
    CHECK(cluster.status(1).differing.empty());
    CHECK(cluster.status(2).differing.empty());
}

TEST_CASE(
    "a file that expects fewer votes counts when all have read it, one that expects more at once") {
    const ToyOptions options = nodes(3);
    ToyCluster cluster(options, 4);
    cluster.power_off(3);
    settle(cluster);
    quorum::Config fewer = options.config;
    fewer.options.expected_votes = 2;
    fewer.options.config_version = 1;
    cluster.give(1, quorum::Reconfigure{.config = fewer});
    cluster.run(seconds(1));
    CHECK(cluster.status(1).standing.expected_votes == 3);
    CHECK(cluster.status(1).differing == std::vector{NodeId{2}});
    cluster.give(2, quorum::Reconfigure{.config = fewer});
    cluster.run(seconds(1));
    CHECK(cluster.status(1).standing.expected_votes == 2);
    CHECK(cluster.status(2).differing.empty());
    quorum::Config more = fewer;
    more.options.expected_votes = 3;
    more.options.config_version = 2;
    cluster.give(2, quorum::Reconfigure{.config = more});
    cluster.run(seconds(1));
    CHECK(cluster.status(1).standing.expected_votes == 3);
}

TEST_CASE(
    "the highest expected votes are known again after a power failure, where they are tracked") {
    ToyOptions options = nodes(3);
    options.config.tracks_expected_votes = true;
    ToyCluster cluster(options, 5);
    settle(cluster);
    CHECK(ask(cluster, 1, quorum::SetVotes{.node = NodeId{1}, .votes = 3}) == Outcome::Done);
    CHECK(cluster.status(2).standing.expected_votes == 5);
    cluster.power_off(2);
    cluster.power_on(2);
    CHECK(cluster.status(2).standing.expected_votes == 5);
}

TEST_CASE("without a provider a node is quorate at all times") {
    ToyOptions options = nodes(3);
    options.config.is_free = true;
    ToyCluster cluster(options, 6);
    CHECK(cluster.is_quorate(1));
    cluster.two_sides_are_allowed = true;
    cluster.partition({0, 1, 2});
    settle(cluster);
    CHECK(cluster.is_quorate(2));
    CHECK(cluster.status(1).counters.renewals == 0);
}

TEST_CASE("the lease is renewed once in a sixth, and of many members as rarely as it bears") {
    using std::chrono::seconds;
    CHECK(quorum::renewal_of(milliseconds(4200)) == seconds(1));
    CHECK(quorum::renewal_of(milliseconds(8400)) == milliseconds(1400));
    CHECK(quorum::renewal_of(milliseconds(18600)) == milliseconds(1600));
    CHECK(quorum::renewal_of(seconds(52)) == milliseconds(2600));
}

TEST_CASE("members are told before it is decided, quorum after") {
    ToyCluster cluster(nodes(3), 7);
    settle(cluster);
    const std::size_t before = cluster.told(1).size();
    cluster.partition({0, 1, 1});
    settle(cluster);
    std::vector<std::size_t> kinds;
    for (std::size_t i = before; i < cluster.told(1).size(); ++i) {
        kinds.push_back(cluster.told(1)[i].index());
    }
    const std::size_t members = quorum::Action(quorum::MembersChanged{}).index();
    const std::size_t changed = quorum::Action(quorum::QuorumChanged{}).index();
    REQUIRE(kinds.size() >= 2);
    CHECK(kinds.front() == members);
    CHECK(kinds.back() == changed);
    CHECK_FALSE(cluster.is_quorate(1));
    CHECK(cluster.status(1).reason == quorum::Reason::TooFewVotes);
}
