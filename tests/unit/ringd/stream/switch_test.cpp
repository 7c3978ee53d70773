#include "ringd/stream/switch.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/ringd/stream/small_switches.hpp"

using namespace stream;
using namespace stream::test;

namespace {

using protocol::Batch;
using protocol::Transitional;
using protocol::View;
using std::chrono::seconds;

base::Buffer frame_of(const protocol::ServiceFrame& frame) {
    return protocol::encode(frame);
}

std::string reason_of(const std::vector<protocol::RingFrame>& heard) {
    const auto* refused = heard.empty() ? nullptr : std::get_if<protocol::Refused>(&heard.back());
    return refused == nullptr ? "" : refused->reason;
}

}  // namespace

TEST_CASE("services that attached before the first ring are in its first view") {
    ToyCluster cluster = formed(3);
    for (std::uint32_t id = 1; id <= 3; ++id) {
        const LifeRecord& life = cluster.service(id, "a").life();
        CHECK(members_of(life) == Nodes{1, 2, 3});
        REQUIRE(last_view(life) != nullptr);
        CHECK(last_view(life)->joined.size() == 3);
        CHECK(last_view(life)->version == 0);
    }
    check_rules(cluster);
}

TEST_CASE("all get the same items in the same order, and the sender is told that they are taken") {
    ToyCluster cluster = formed(3);
    for (int i = 0; i < 20; ++i) {
        for (std::uint32_t id = 1; id <= 3; ++id) {
            cluster.submit(cluster.service(id, "a"), 60, i % 5 == 0);
        }
    }
    cluster.settle();
    for (std::uint32_t id = 1; id <= 3; ++id) {
        const LifeRecord& life = cluster.service(id, "a").life();
        CHECK(life.submitted > 10);
        CHECK(life.taken == life.submitted);
        for (std::uint32_t sender = 1; sender <= 3; ++sender) {
            CHECK(numbers_from(life, sender).size() ==
                  cluster.service(sender, "a").life().submitted);
        }
    }
    check_rules(cluster);
}

TEST_CASE("an urgent item overtakes those that wait") {
    ToyCluster cluster = formed(1);
    ToyService& service = cluster.service(1, "a");
    REQUIRE(cluster.submit(service));
    REQUIRE(cluster.submit(service));
    REQUIRE(cluster.submit(service, 0, true));
    cluster.settle();
    CHECK(numbers_from(service.life(), 1) == Items{3, 1, 2});
    CHECK(service.life().taken == 3);
}

TEST_CASE("attach and detach are views of their own, at one place for all") {
    ToyCluster cluster = formed(2, 1);
    ToyService& late = cluster.service(3, "a");
    cluster.form_rings({{1, 2, 3}});
    cluster.settle();
    CHECK(members_of(cluster.service(1, "a").life()) == Nodes{1, 2});
    cluster.submit(cluster.service(1, "a"));
    cluster.settle();
    cluster.connect(late);
    cluster.submit(late);
    cluster.settle();
    for (std::uint32_t id = 1; id <= 3; ++id) {
        const LifeRecord& life = cluster.service(id, "a").life();
        CHECK(members_of(life) == Nodes{1, 2, 3});
        CHECK(last_view(life)->version == 1);
        CHECK(numbers_from(life, 3) == Items{1});
    }
    CHECK(numbers_from(late.life(), 1).empty());  // Before its time.

    cluster.submit(late);
    cluster.detach(late);
    cluster.settle();
    const LifeRecord& other = cluster.service(1, "a").life();
    CHECK(numbers_from(other, 3) == Items{1, 2});  // What it submitted came before its end.
    CHECK(members_of(other) == Nodes{1, 2});
    CHECK(last_view(other)->left == std::vector{base::NodeId{3}});
    check_rules(cluster);
}

TEST_CASE("channels have views of their own") {
    ToyCluster cluster = formed(2);
    cluster.connect(cluster.service(2, "b"));
    cluster.settle();
    CHECK(members_of(cluster.service(2, "b").life()) == Nodes{2});
    CHECK(cluster.service(1, "a").life().events.size() == 1);
    cluster.submit(cluster.service(2, "b"));
    cluster.settle();
    CHECK(numbers_from(cluster.service(1, "a").life(), 2).empty());
}

TEST_CASE("a service that comes back in time misses nothing and repeats nothing") {
    ToyCluster cluster = formed(2);
    ToyService& one = cluster.service(1, "a");
    ToyService& two = cluster.service(2, "a");
    REQUIRE(cluster.submit(two));
    cluster.run();
    cluster.kill(two);
    for (int i = 0; i < 5; ++i) {
        REQUIRE(cluster.submit(one));
        cluster.run();
    }
    cluster.pass_time(seconds(9));
    SUBCASE("with its memory") {}
    SUBCASE("without") {
        two.lose_memory();
    }
    cluster.connect(two);
    REQUIRE(cluster.submit(two));
    cluster.settle();
    CHECK(two.refusals() == 0);
    CHECK(two.lives().size() == 1);
    CHECK(numbers_from(two.life(), 1) == Items{1, 2, 3, 4, 5});
    CHECK(numbers_from(one.life(), 2) == Items{1, 2});
    CHECK(two.life().taken == 2);
    check_rules(cluster);
}

TEST_CASE("what was submitted and not taken when the connection broke is ordered once") {
    ToyCluster cluster = formed(2);
    ToyService& one = cluster.service(1, "a");
    REQUIRE(cluster.submit(one));
    REQUIRE(cluster.submit(one));
    cluster.kill(one);
    SUBCASE("before it is ordered") {}
    SUBCASE("after") {
        cluster.run();
    }
    cluster.connect(one);  // Submits both again.
    cluster.settle();
    CHECK(numbers_from(cluster.service(2, "a").life(), 1) == Items{1, 2});
    CHECK(one.life().taken == 2);
}

TEST_CASE("a service that stays away is detached, and must start afresh") {
    ToyCluster cluster = formed(2);
    ToyService& two = cluster.service(2, "a");
    cluster.kill(two);
    cluster.pass_time(seconds(11));
    cluster.settle();
    CHECK(members_of(cluster.service(1, "a").life()) == Nodes{1});
    cluster.connect(two);
    CHECK(two.refusals() == 1);
    CHECK(!two.connection());
    cluster.connect(two);
    cluster.settle();
    CHECK(two.lives().size() == 2);
    CHECK(members_of(cluster.service(1, "a").life()) == Nodes{1, 2});
    CHECK(last_view(cluster.service(1, "a").life())->joined == std::vector{base::NodeId{2}});
    check_rules(cluster);
}

TEST_CASE("a new life waits until all of the one before it is ordered") {
    ToyCluster cluster = formed(2);
    ToyService& two = cluster.service(2, "a");
    REQUIRE(cluster.submit(two));
    REQUIRE(cluster.submit(two));
    cluster.kill(two);
    cluster.connect(two, true);
    REQUIRE(cluster.submit(two));
    cluster.settle();
    CHECK(numbers_from(cluster.service(1, "a").life(), 2) == Items{1, 2, 1});
    check_rules(cluster);
}

TEST_CASE("a partition gives each side a view, a merge one to all") {
    ToyCluster cluster = formed(4);
    for (std::uint32_t id = 1; id <= 4; ++id) {
        cluster.submit(cluster.service(id, "a"));
    }
    cluster.form_rings({{1, 2}, {3, 4}});
    for (std::uint32_t id = 1; id <= 4; ++id) {
        cluster.submit(cluster.service(id, "a"));
    }
    cluster.settle();
    CHECK(members_of(cluster.service(1, "a").life()) == Nodes{1, 2});
    CHECK(members_of(cluster.service(4, "a").life()) == Nodes{3, 4});
    CHECK(cluster.service(1, "a").life().taken == 2);
    cluster.form_rings({{1, 2, 3, 4}});
    cluster.settle();
    CHECK(members_of(cluster.service(4, "a").life()) == Nodes{1, 2, 3, 4});
    CHECK(last_view(cluster.service(1, "a").life())->joined ==
          std::vector{base::NodeId{3}, base::NodeId{4}});
    check_rules(cluster);
}

TEST_CASE("a ring that breaks during the exchange costs no item") {
    // Three rings in a row, each broken before its exchange is complete, with items of all under
    // way.
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        ToyCluster cluster(3, small(), seed);
        for (std::uint32_t id = 1; id <= 3; ++id) {
            cluster.connect(cluster.service(id, "a"));
        }
        cluster.form_rings({{1, 2}, {3}});
        cluster.settle();
        const auto submit_all = [&] {
            for (std::uint32_t id = 1; id <= 3; ++id) {
                cluster.submit(cluster.service(id, "a"), 0, cluster.random().below(3) == 0);
                cluster.submit(cluster.service(id, "a"));
            }
        };
        for (const auto& groups : std::vector<std::vector<Nodes>>{
                 {{1, 2, 3}}, {{1}, {2, 3}}, {{1, 2, 3}}, {{1, 3}, {2}}, {{1, 2, 3}}}) {
            submit_all();
            for (std::uint64_t steps = cluster.random().below(6); steps > 0; --steps) {
                (void)cluster.step_ring();
            }
            cluster.form_rings(groups);
        }
        cluster.settle();
        for (std::uint32_t id = 1; id <= 3; ++id) {
            const LifeRecord& life = cluster.service(id, "a").life();
            CHECK(members_of(life) == Nodes{1, 2, 3});
            CHECK(life.taken == life.submitted);
            CHECK(numbers_from(life, id).size() == life.submitted);
        }
        const auto broken = test::broken_rule(cluster.lives());
        REQUIRE_MESSAGE(!broken, broken.value_or(""));
    }
}

TEST_CASE("channels share the ring by bytes") {
    ToyCluster cluster(1, {.self = base::NodeId{1}}, 1);
    ToyService& large = cluster.service(1, "large");
    ToyService& small_one = cluster.service(1, "small");
    cluster.connect(large);
    cluster.connect(small_one);
    cluster.form_rings({{1}});
    cluster.settle();
    for (int i = 0; i < 10; ++i) {
        REQUIRE(cluster.submit(large, 300'000));
    }
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(cluster.submit(small_one, 100));
    }
    std::vector<totem::Submitted> submissions;
    cluster.switch_of(1).take_submissions(1'000'000, submissions);
    std::size_t large_bytes = 0;
    std::size_t small_bytes = 0;
    for (const totem::Submitted& submitted : submissions) {
        (submitted.payload.size() > 1000 ? large_bytes : small_bytes) += submitted.payload.size();
    }
    CHECK(small_bytes > 100'000);
    CHECK(large_bytes >= 600'000);
    CHECK(large_bytes + small_bytes <= 1'000'000);
}

TEST_CASE("an item larger than the ring's whole queue goes when the ring has nothing else") {
    Switch core({.self = base::NodeId{1}});
    ToyService service(base::NodeId{1}, "a");
    core.frame(Instant{}, ConnectionId{1}, service.connect(ConnectionId{1}, true));
    core.install(Instant{}, {.ring = {.seq = 1, .representative = base::NodeId{1}},
                             .previous = {},
                             .members = {base::NodeId{1}}});
    std::vector<Output> outputs;
    core.take_outputs(outputs);
    for (const Output& output : outputs) {
        (void)service.hear(std::get<SendFrame>(output).head);
    }
    core.frame(Instant{}, ConnectionId{1}, *service.submit(5000, false, false));
    std::vector<totem::Submitted> submissions;
    core.take_submissions(0, submissions);
    CHECK(submissions.empty());
    core.take_submissions(1000, submissions);
    REQUIRE(submissions.size() == 1);  // The Attach alone.
    core.taken({.number = 1});
    core.take_submissions(1000, submissions);
    CHECK(submissions.size() == 2);
}

TEST_CASE("an observer follows from the current view on and is not a member") {
    ToyCluster cluster = formed(2);
    REQUIRE(cluster.submit(cluster.service(1, "a")));
    cluster.settle();
    const auto observer = cluster.open(
        2, frame_of(protocol::Attach{.role = protocol::Attach::Role::Observer, .channel = "a"}));
    REQUIRE(cluster.submit(cluster.service(1, "a")));
    cluster.settle();
    cluster.form_rings({{1}, {2}});
    cluster.settle();
    const auto& heard = cluster.heard(observer);
    REQUIRE(heard.size() == 5);
    CHECK(std::get<protocol::Attached>(heard[0]).self == base::NodeId{2});
    for (std::size_t i = 1; i < heard.size(); ++i) {
        CHECK(std::get<protocol::Event>(heard[i]).cursor == protocol::Cursor{i});
    }
    CHECK(std::get<View>(std::get<protocol::Event>(heard[1]).what).members.size() == 2);
    CHECK(std::get<Batch>(std::get<protocol::Event>(heard[2]).what).number == 2);
    CHECK(std::get<Transitional>(std::get<protocol::Event>(heard[3]).what).members.size() == 1);
    CHECK(std::get<View>(std::get<protocol::Event>(heard[4]).what).left.size() == 1);
    CHECK(members_of(cluster.service(2, "a").life()) == Nodes{2});
    cluster.switch_of(2).closed(cluster.now(), observer);
    CHECK(cluster.switch_of(2).status().channels[0].observers == 0);
}

TEST_CASE("who breaks the rules of the socket is refused, and only its connection ends") {
    ToyCluster cluster = formed(1);
    const auto garbage = base::Buffer::copy_of(std::as_bytes(std::span("garbage")));
    const auto stranger = cluster.open(1, garbage);
    CHECK(reason_of(cluster.heard(stranger)) == "malformed frame");
    CHECK(cluster.is_closed(stranger));

    const auto hasty = cluster.open(1, frame_of(protocol::Ack{.applied = protocol::Cursor{1}}));
    CHECK(reason_of(cluster.heard(hasty)) == "attach first");

    const auto rival = cluster.open(
        1, frame_of(protocol::Attach{.channel = "a", .incarnation = protocol::Incarnation{999}}));
    CHECK(reason_of(cluster.heard(rival)) == "another service is attached to this channel");

    const auto observer = cluster.open(
        1, frame_of(protocol::Attach{.role = protocol::Attach::Role::Observer, .channel = "a"}));
    cluster.say(1, observer, frame_of(protocol::Ack{.applied = protocol::Cursor{1}}));
    CHECK(reason_of(cluster.heard(observer)) == "an observer only reads");

    ToyService& service = cluster.service(1, "a");
    CHECK(service.is_attached());
    const auto connection = *service.connection();
    SUBCASE("an acknowledgement of what was not sent") {
        cluster.say(1, connection, frame_of(protocol::Ack{.applied = protocol::Cursor{1000}}));
    }
    SUBCASE("a receipt of what was not sent") {
        cluster.say(1, connection, frame_of(protocol::Received{.event = protocol::Cursor{1000}}));
    }
    SUBCASE("a submission of another life") {
        cluster.say(1, connection,
                    frame_of(protocol::Submit{.number = 1,
                                              .incarnation = protocol::Incarnation{999},
                                              .channel = "a",
                                              .payload = {}}));
    }
    SUBCASE("a number left out") {
        cluster.say(1, connection,
                    frame_of(protocol::Submit{.number = 2,
                                              .after = 1,
                                              .incarnation = service.life().incarnation,
                                              .channel = "a",
                                              .payload = {}}));
    }
    CHECK(cluster.is_closed(connection));
    cluster.connect(service);
    REQUIRE(cluster.submit(service));
    cluster.settle();
    CHECK(service.lives().size() == 1);
    CHECK(numbers_from(service.life(), 1) == Items{1});
}

TEST_CASE("more than the window is refused") {
    ToyCluster cluster = formed(1);
    ToyService& service = cluster.service(1, "a");
    REQUIRE(cluster.submit(service, 900));
    CHECK(!cluster.submit(service, 200));  // The toy service keeps the rule …
    const auto connection = *service.connection();
    cluster.say(
        1, connection,  // … this one does not.
        frame_of(protocol::Submit{.number = 2,
                                  .after = 1,
                                  .incarnation = service.life().incarnation,
                                  .channel = "a",
                                  .payload = base::Buffer::copy_of(std::vector<std::byte>(200))}));
    CHECK(cluster.is_closed(connection));
}

TEST_CASE("what another node's ringd can't have meant changes nothing") {
    ToyCluster cluster = formed(2);
    Switch& core = cluster.switch_of(1);
    const auto events = cluster.service(1, "a").life().events.size();
    for (const base::Buffer& payload :
         {base::Buffer{}, base::Buffer::copy_of(std::as_bytes(std::span("nonsense"))),
          frame_of(protocol::Submit{
              .number = 7, .incarnation = protocol::Incarnation{5}, .channel = "a", .payload = {}}),
          frame_of(protocol::Submit{.number = 7,
          .incarnation = protocol::Incarnation{5},
          .channel = "nowhere",
          .payload = {}})}) {
        core.deliver(cluster.now(), {.ring = *core.status().ring,
                                     .seq = totem::Seq{1000},
                                     .sender = base::NodeId{2},
                                     .payload = payload});
    }
    cluster.settle();
    CHECK(cluster.service(1, "a").life().events.size() == events);
    CHECK(core.status().counters.malformed_items == 2);
    CHECK(core.status().counters.not_attached == 2);
}
