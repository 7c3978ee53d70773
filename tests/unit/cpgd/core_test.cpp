// Groups over several nodes: joins, messages, views, deaths, and what clients are told.
#include "cpgd/core/core.hpp"

#include <doctest/doctest.h>

#include "common/base/pieces.hpp"
#include "tests/unit/cpgd/toy_cluster.hpp"

namespace {

using namespace cpg_test;
using cpg::CsError;

std::uint32_t code(CsError error) {
    return static_cast<std::uint32_t>(error);
}

void check_no_faults(ToyCluster& cluster) {
    for (const std::string& fault : cluster.faults()) {
        FAIL_CHECK(fault);
    }
}

using Groups = std::map<std::string, std::vector<std::pair<std::uint32_t, std::uint32_t>>>;

}  // namespace

TEST_CASE("before the first view clients are told to try again") {
    ToyCluster cluster({1});
    ToyClient& client = cluster.add_client(1, 10);
    CHECK(client.refused == code(CsError::TryAgain));
    cluster.partition({{1}});
    cluster.settle();
    cluster.connect(client);
    CHECK(client.is_welcome);
}

TEST_CASE("a member alone joins, gets its own messages, and leaves") {
    ToyCluster cluster({1});
    cluster.partition({{1}});
    cluster.settle();
    ToyClient& client = cluster.add_client(1, 10);
    const auto joined = cluster.join(client, "a");
    cluster.send(client, "while joining");
    cluster.settle();
    CHECK(client.answers.at(joined) == code(CsError::Ok));
    cluster.send(client, "then");
    cluster.settle();
    CHECK(client.received == std::vector<std::string>{"1:10:1:while joining", "1:10:2:then"});
    const auto left = cluster.leave(client);
    cluster.settle();
    CHECK(client.answers.at(left) == code(CsError::Ok));
    CHECK(client.confchgs == 2);
    CHECK(cluster.groups(1).empty());
    check_no_faults(cluster);
}

TEST_CASE("joins and leaves are refused as Corosync does") {
    ToyCluster cluster({1});
    cluster.partition({{1}});
    cluster.settle();
    ToyClient& client = cluster.add_client(1, 10);
    ToyClient& same_process = cluster.add_client(1, 10);
    const auto answer = [&](ToyClient& who, std::uint32_t request) {
        cluster.settle();
        return who.answers.at(request);
    };
    const auto first = cluster.join(client, "a");
    const auto again = cluster.join(client, "b");
    CHECK(client.answers.at(again) == code(CsError::Exist));  // One group a handle, joining.
    const auto busy = cluster.leave(client);
    CHECK(client.answers.at(busy) == code(CsError::Busy));  // Not joined yet.
    const auto other_handle = cluster.join(same_process, "a");
    CHECK(same_process.answers.at(other_handle) == code(CsError::Exist));
    CHECK(answer(client, first) == code(CsError::Ok));
    CHECK(answer(client, cluster.join(client, "a")) == code(CsError::Exist));

    const auto left = cluster.leave(client);
    const auto join_early = cluster.join(client, "a");
    CHECK(client.answers.at(join_early) == code(CsError::Busy));
    const auto try_again = cluster.join(same_process, "a");
    CHECK(same_process.answers.at(try_again) == code(CsError::TryAgain));
    CHECK(answer(client, left) == code(CsError::Ok));
    CHECK(answer(client, cluster.leave(client)) == code(CsError::NotExist));
    CHECK(answer(client, cluster.join(client, "a")) == code(CsError::Ok));  // Unlike Corosync.
}

TEST_CASE("members on three nodes see the same") {
    ToyCluster cluster({1, 2, 3});
    cluster.partition({{1, 2, 3}});
    cluster.settle();
    for (const std::uint32_t node : {1u, 2u, 3u}) {
        ToyClient& client = cluster.add_client(node, 10 * node);
        cluster.join(client, "a");
    }
    cluster.settle();
    for (int i = 0; i < 20; ++i) {
        for (ToyClient& client : cluster.clients()) {
            cluster.send(client, "m");
        }
    }
    cluster.settle();
    CHECK(cluster.clients()[0].received.size() == 60);
    CHECK(cluster.clients()[0].received == cluster.clients()[1].received);
    CHECK(cluster.clients()[0].received == cluster.clients()[2].received);
    check_no_faults(cluster);
}

TEST_CASE("sides of a partition go and come again") {
    ToyCluster cluster({1, 2, 3});
    cluster.partition({{1, 2, 3}});
    cluster.settle();
    for (const std::uint32_t node : {1u, 2u, 3u}) {
        cluster.join(cluster.add_client(node, 10 * node), "a");
    }
    cluster.settle();
    cluster.partition({{1, 2}, {3}});
    cluster.settle();
    CHECK(cluster.groups(1) == Groups{{"a", {{1, 10}, {2, 20}}}});
    CHECK(cluster.groups(3) == Groups{{"a", {{3, 30}}}});
    cluster.partition({{1, 2, 3}});
    cluster.settle();
    CHECK(cluster.groups(3) == Groups{{"a", {{1, 10}, {2, 20}, {3, 30}}}});
    CHECK(cluster.groups(1) == cluster.groups(3));
    check_no_faults(cluster);
}

TEST_CASE("what the others had when a ringd was killed comes once, also to its sender") {
    ToyCluster cluster({1, 2});
    cluster.partition({{1, 2}});
    cluster.settle();
    ToyClient& sender = cluster.add_client(1, 10);
    ToyClient& other = cluster.add_client(2, 20);
    cluster.join(sender, "a");
    cluster.join(other, "a");
    cluster.settle();
    cluster.send(sender, "ordered");
    cluster.settle();
    cluster.send(sender, "ordered and lost here");
    cluster.advance({});  // It is submitted.
    while (cluster.has_submissions(1)) {
        cluster.order_one(1);
    }
    cluster.send(sender, "not ordered");
    cluster.advance({});
    cluster.lose_ring(1);
    cluster.settle();
    CHECK(other.received ==
          std::vector<std::string>{"1:10:1:ordered", "1:10:2:ordered and lost here"});
    cluster.partition({{1, 2}});
    cluster.settle();
    CHECK(sender.received == other.received);
    CHECK(sender.received.size() == 3);
    check_no_faults(cluster);
}

TEST_CASE(
    "who had more events than the state of a cpgd that lost its place does not take others for "
    "them") {
    ToyCluster cluster({1, 2, 3});
    cluster.partition({{1, 2, 3}});
    cluster.settle();
    ToyClient& member = cluster.add_client(1, 10);
    ToyClient& other = cluster.add_client(2, 20);
    ToyClient& third = cluster.add_client(3, 30);
    for (ToyClient* each : {&member, &other, &third}) {
        cluster.join(*each, "a");
        cluster.settle();
    }
    const base::Buffer state = base::joined(cluster.core(1).snapshot());
    cluster.kill(third);  // The event of it is in no state of node 1.
    cluster.settle();
    cluster.disconnect(member);  // cpgd dies, and then its ringd.
    cluster.lose_ring(1);
    cluster.restart(1, state);
    cluster.partition({{1, 2, 3}});
    cluster.settle();
    cluster.connect(member);
    cluster.settle();
    CHECK(member.sessions_lost == 1);
    CHECK(other.sessions_lost == 0);
    check_no_faults(cluster);
}

TEST_CASE(
    "a cpgd that ended in order serves its clients on where its place is lost, a killed one does "
    "not") {
    for (const bool in_order : {true, false}) {
        CAPTURE(in_order);
        ToyCluster cluster({1, 2});
        cluster.partition({{1, 2}});
        cluster.settle();
        ToyClient& member = cluster.add_client(1, 10);
        ToyClient& other = cluster.add_client(2, 20);
        for (ToyClient* each : {&member, &other}) {
            cluster.join(*each, "a");
            cluster.settle();
        }
        const base::Buffer state = base::joined(cluster.core(1).snapshot(in_order));
        cluster.disconnect(member);
        cluster.lose_ring(1);
        cluster.restart(1, state);
        cluster.partition({{1, 2}});
        cluster.settle();
        cluster.connect(member);
        cluster.settle();
        CHECK(member.sessions_lost == (in_order ? 0 : 1));
        CHECK(cluster.groups(2).at("a").size() == (in_order ? 2 : 1));
        check_no_faults(cluster);
    }
}

TEST_CASE("a view that comes during the exchange leaves no ghosts") {
    ToyCluster cluster({1, 2, 3, 4});
    cluster.partition({{1, 2}, {3, 4}});
    cluster.settle();
    for (const std::uint32_t node : {1u, 2u, 3u, 4u}) {
        cluster.join(cluster.add_client(node, 10 * node), "a");
    }
    cluster.settle();
    // The states of 3 and 4 come, those of 1 and 2 do not; then the sides part again.
    cluster.partition({{1, 2, 3, 4}});
    for (const std::uint32_t node : {1u, 2u, 3u, 4u}) {
        while (cluster.deliver_one(node)) {
        }
    }
    cluster.order_one(3);
    cluster.order_one(4);
    cluster.send(cluster.clients()[2], "in the barrier");
    cluster.send(cluster.clients()[0], "in the barrier");
    cluster.partition({{1, 2}, {3, 4}});
    cluster.settle();
    CHECK(cluster.groups(1) == Groups{{"a", {{1, 10}, {2, 20}}}});
    CHECK(cluster.groups(2) == cluster.groups(1));
    CHECK(cluster.groups(3) == Groups{{"a", {{3, 30}, {4, 40}}}});
    cluster.partition({{1, 2, 3, 4}});
    cluster.settle();
    CHECK(cluster.groups(1).at("a").size() == 4);
    check_no_faults(cluster);
}

TEST_CASE("a killed process goes once, with ProcDown") {
    ToyCluster cluster({1, 2});
    cluster.partition({{1, 2}});
    cluster.settle();
    ToyClient& victim = cluster.add_client(1, 10);
    ToyClient& witness = cluster.add_client(2, 20);
    cluster.join(victim, "a");
    cluster.settle();
    cluster.join(witness, "a");
    cluster.settle();
    cluster.kill(victim);
    cluster.settle();
    CHECK(witness.confchgs == 2);
    CHECK(cluster.groups(2) == Groups{{"a", {{2, 20}}}});
    CHECK(cluster.groups(1) == cluster.groups(2));
    check_no_faults(cluster);
}

TEST_CASE("a client that comes back within the grace time misses nothing") {
    ToyCluster cluster({1, 2});
    cluster.partition({{1, 2}});
    cluster.settle();
    ToyClient& one = cluster.add_client(1, 10);
    ToyClient& two = cluster.add_client(2, 20);
    cluster.join(one, "a");
    cluster.settle();
    cluster.join(two, "a");
    cluster.settle();
    cluster.disconnect(one);
    cluster.send(one, "kept by the client");
    cluster.send(two, "kept by cpgd");
    cluster.settle();
    cluster.connect(one);
    cluster.settle();
    CHECK(one.received == two.received);
    CHECK(one.received.size() == 2);

    cluster.disconnect(one);
    cluster.advance(std::chrono::seconds{6});
    cluster.settle();
    CHECK(cluster.groups(2) == Groups{{"a", {{2, 20}}}});
    cluster.connect(one);
    CHECK(one.is_welcome);
    CHECK(one.last_event == 0);  // A new session.
    check_no_faults(cluster);
}

TEST_CASE("a session that has joined nothing ends with its connection, another one waits") {
    ToyCluster cluster({1});
    cluster.partition({{1}});
    cluster.settle();
    ToyClient& asker = cluster.add_client(1, 10);
    ToyClient& member = cluster.add_client(1, 20);
    cluster.join(member, "a");
    cluster.settle();
    CHECK(cluster.core(1).status().sessions.size() == 2);
    CHECK_FALSE(cluster.core(1).may_come_back(asker.connection));
    CHECK(cluster.core(1).may_come_back(member.connection));
    cluster.disconnect(asker);
    cluster.disconnect(member);
    const auto left = cluster.core(1).status().sessions;
    REQUIRE(left.size() == 1);
    CHECK(left[0].pid == 20);
    // Whoever comes back for it is given another one.
    cluster.connect(asker);
    CHECK(asker.is_welcome);
    cluster.join(asker, "a");
    cluster.settle();
    CHECK(cluster.groups(1).at("a").size() == 2);
    check_no_faults(cluster);
}

TEST_CASE("a process that joins again by a new session gets the place of the one it gave up") {
    ToyCluster cluster({1});
    cluster.partition({{1}});
    cluster.settle();
    ToyClient& before = cluster.add_client(1, 10);
    cluster.join(before, "a");
    cluster.settle();
    cluster.disconnect(before);
    ToyClient& now = cluster.add_client(1, 10);
    const auto early = cluster.join(now, "a");
    CHECK(now.answers.at(early) == code(CsError::TryAgain));
    cluster.settle();
    const auto joined = cluster.join(now, "a");
    cluster.settle();
    CHECK(now.answers.at(joined) == code(CsError::Ok));
    CHECK(cluster.groups(1) == Groups{{"a", {{1, 10}}}});
    check_no_faults(cluster);
}

TEST_CASE("cpgd started afresh on one node: its members go, and its clients begin anew") {
    ToyCluster cluster({1, 2});
    cluster.partition({{1, 2}});
    cluster.settle();
    ToyClient& one = cluster.add_client(1, 10);
    ToyClient& two = cluster.add_client(2, 20);
    cluster.join(one, "a");
    cluster.settle();
    cluster.join(two, "a");
    cluster.settle();
    cluster.restart(1, std::nullopt);
    cluster.settle();
    CHECK(cluster.groups(2) == Groups{{"a", {{2, 20}}}});
    CHECK(cluster.groups(1) == cluster.groups(2));
    cluster.connect(one);
    cluster.join(one, "a");
    cluster.settle();
    CHECK(cluster.groups(2).at("a").size() == 2);
    check_no_faults(cluster);
}

TEST_CASE("a run is one frame to who takes runs, and its messages to who does not") {
    ToyCluster cluster({1, 2});
    cluster.partition({{1, 2}});
    cluster.settle();
    ToyClient& sender = cluster.add_client(1, 11);
    ToyClient& old = cluster.add_client(2, 12);
    ToyClient& other = cluster.add_client(2, 13);
    for (ToyClient* client : {&sender, &old, &other}) {
        cluster.join(*client, "a");
    }
    cluster.settle();
    cluster.send_all(sender, {"one", "", "three"});
    cluster.send_all(old, {"four", "five"});
    cluster.settle();
    const std::vector<std::string> first{"1:11:1:one", "1:11:2:", "1:11:3:three"};
    const std::vector<std::string> then{"2:12:1:four", "2:12:2:five"};
    for (const ToyClient* client : {&sender, &old, &other}) {
        CHECK(std::vector(client->received.begin(), client->received.begin() + 3) == first);
        CHECK(std::vector(client->received.begin() + 3, client->received.end()) == then);
    }
    CHECK(cluster.core(1).status().counters.multicasts == 3);
    check_no_faults(cluster);
}

TEST_CASE("a run that is acknowledged in its midst goes on behind that, also from a snapshot") {
    for (const bool is_restarted : {false, true}) {
        CAPTURE(is_restarted);
        ToyCluster cluster({1});
        cluster.partition({{1}});
        cluster.settle();
        ToyClient& client = cluster.add_client(1, 11);
        client.acknowledges = false;
        cluster.join(client, "a");
        cluster.settle();
        cluster.send_all(client, {"one", "two", "three"});
        cluster.settle();
        REQUIRE(client.received.size() == 3);
        const std::size_t all = cluster.core(1).status().sessions.front().queued_bytes;
        // As a client that has taken the Confchg and two of three.
        cluster.ask(client, protocol::cpg::EventAck{.event = client.last_event - 1});
        const auto& session = cluster.core(1).status().sessions.front();
        CHECK(session.queued_bytes > 0);
        CHECK(session.queued_bytes < all / 2);
        const base::Buffer snapshot = base::joined(cluster.core(1).snapshot());
        client.last_event -= 1;
        client.received.pop_back();
        client.request.reset();
        if (is_restarted) {
            cluster.restart(1, snapshot);
        } else {
            cluster.disconnect(client);
        }
        cluster.connect(client);
        cluster.settle();
        CHECK(client.received ==
              std::vector<std::string>{"1:11:1:one", "1:11:2:two", "1:11:3:three"});
        cluster.acknowledge(client);
        CHECK(cluster.core(1).status().sessions.front().queued_bytes == 0);
    }
}

TEST_CASE("a run that is said again counts from where it is new") {
    ToyCluster cluster({1});
    cluster.partition({{1}});
    cluster.settle();
    ToyClient& client = cluster.add_client(1, 11);
    cluster.join(client, "a");
    cluster.settle();
    cluster.send_all(client, {"one", "two"});
    client.is_welcome = false;  // So that they are kept, and said with the others.
    cluster.send_all(client, {"three"});
    client.is_welcome = true;
    // All three, of which cpgd has two.
    support::CpgClient::Frames again(client.uncredited.begin(), client.uncredited.end());
    REQUIRE(again.size() == 3);
    const auto run = client.as_written(again);
    REQUIRE(run.size() == 1);
    cluster.ask(client, run.front());
    cluster.ask(client, run.front());
    client.request.reset();
    cluster.settle();
    CHECK(client.received == std::vector<std::string>{"1:11:1:one", "1:11:2:two", "1:11:3:three"});
    CHECK(cluster.core(1).status().sessions.front().outstanding_bytes == 0);
    CHECK(cluster.core(1).status().counters.protocol_errors == 0);
    check_no_faults(cluster);
}
