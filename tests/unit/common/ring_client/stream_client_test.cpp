#include "common/ring_client/stream_client.hpp"

#include <doctest/doctest.h>
#include <sys/epoll.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>

#include "common/base/prng.hpp"
#include "common/os/clock.hpp"
#include "common/zmtp/listener.hpp"
#include "tests/unit/common/ring_client/node.hpp"

using protocol::Cursor;
using protocol::Incarnation;

namespace {

std::vector<std::uint64_t> up_to(std::uint64_t last) {
    std::vector<std::uint64_t> numbers(last);
    std::iota(numbers.begin(), numbers.end(), 1);
    return numbers;
}

bool are_contiguous(const std::vector<protocol::Event>& events, std::uint64_t first) {
    return std::ranges::all_of(
        events, [&](const protocol::Event& event) { return event.cursor == Cursor{first++}; });
}

// Events up to `applied` are done with; ringd knows.
bool acknowledge(Node& node, Service& service, Cursor applied) {
    service.client.acknowledge(applied);
    return node.wait([&] { return node.ring->status().channels[0].services[0].applied == applied; },
                     {&service});
}

}  // namespace

TEST_CASE("a service attaches afresh and sees itself come") {
    Node node;
    Service service(node.path());
    REQUIRE(node.wait([&] { return service.events.size() == 1; }, {&service}));

    REQUIRE(service.attached.size() == 1);
    CHECK(service.attached[0].self == OneNodeRing::kSelf);
    CHECK_FALSE(service.attached[0].resumed);
    CHECK(service.client.is_attached());
    CHECK(service.received() == Cursor{1});
    const protocol::View& view = *service.last_view();
    CHECK(view.members ==
          std::vector<protocol::ViewMember>{
              {.node = OneNodeRing::kSelf, .incarnation = service.client.incarnation()}});
    CHECK(view.joined == std::vector{OneNodeRing::kSelf});
    CHECK(service.lost.empty());
}

TEST_CASE("what is submitted comes back in order, and is then kept no longer") {
    Node node;
    Service service(node.path());
    REQUIRE(node.wait([&] { return service.client.room() > 0; }, {&service}));
    node.ring->hold(true);
    for (int i = 0; i < 100; ++i) {
        REQUIRE(service.submit_next());
    }
    CHECK(service.client.outstanding_bytes() == 800);
    node.ring->hold(false);
    REQUIRE(node.wait_for_own(service));
    CHECK(service.numbers() == up_to(100));
    CHECK(are_contiguous(service.events, 1));
    CHECK(node.wait([&] { return service.client.outstanding_bytes() == 0; }, {&service}));
}

TEST_CASE("credit is the window, and one item more only when nothing else is outstanding") {
    Node node({.window_bytes = 1000});
    Service service(node.path());
    REQUIRE(node.wait([&] { return service.client.room() > 0; }, {&service}));
    CHECK(service.client.room() == 1000);
    CHECK(service.client.fits(5000));

    node.ring->hold(true);
    (void)service.client.submit(zmtp::test::pattern(400), false, false);
    CHECK(service.client.room() == 600);
    CHECK(service.client.fits(600));
    CHECK_FALSE(service.client.fits(601));
    (void)service.client.submit(zmtp::test::pattern(600), false, false);
    CHECK(service.client.room() == 0);
    CHECK_FALSE(service.client.fits(1));

    const std::uint64_t rooms = service.rooms;
    node.ring->hold(false);
    REQUIRE(node.wait([&] { return service.client.room() == 1000; }, {&service}));
    CHECK(service.rooms > rooms);

    // Larger than the window ever is.
    (void)service.client.submit(zmtp::test::pattern(5000), false, false);
    CHECK(service.client.room() == 0);
    REQUIRE(node.wait([&] { return service.events.size() == 4; }, {&service}));
    const auto& batch = std::get<protocol::Batch>(service.events.back().what);
    CHECK(zmtp::test::same(batch.payload, zmtp::test::pattern(5000)));
    CHECK(service.lost.empty());
}

TEST_CASE("urgent submissions overtake what waits, and each line keeps its order") {
    Node node;
    Service service(node.path());
    REQUIRE(node.wait([&] { return service.client.room() > 0; }, {&service}));
    node.ring->hold(true);
    for (const bool urgent : {false, false, true, true}) {
        (void)service.client.submit(zmtp::test::pattern(8), false, urgent);
    }
    REQUIRE(node.wait([&] { return node.ring->status().channels[0].services[0].submitted == 4; },
                      {&service}));
    node.ring->hold(false);
    REQUIRE(node.wait([&] { return service.events.size() == 5; }, {&service}));
    std::vector<std::uint64_t> numbers;
    for (std::size_t i = 1; i < 5; ++i) {
        numbers.push_back(std::get<protocol::Batch>(service.events[i].what).number);
    }
    CHECK(numbers == std::vector<std::uint64_t>{3, 4, 1, 2});
}

TEST_CASE("a service that is started again goes on after the event that it applied") {
    Node node;
    auto first = std::make_unique<Service>(node.path());
    REQUIRE(node.wait([&] { return first->client.room() > 0; }, {first.get()}));
    for (int i = 0; i < 20; ++i) {
        REQUIRE(first->submit_next());
    }
    REQUIRE(node.wait_for_own(*first));
    REQUIRE(acknowledge(node, *first, Cursor{5}));
    const ring::ResumePoint kept{.incarnation = first->client.incarnation(), .applied = Cursor{8}};
    first.reset();

    Service second(node.path(), kept);
    REQUIRE(node.wait([&] { return second.events.size() == 13; }, {&second}));
    CHECK(second.attached[0].resumed);
    CHECK(second.client.incarnation() == kept.incarnation);
    CHECK(are_contiguous(second.events, 9));
    CHECK(second.numbers().front() == 8);  // Event 1 was the View.

    // Its numbers go on where the last life's ended, which it did not know.
    CHECK(second.attached[0].last_ordinary == 20);
    second.next_number = 21;
    REQUIRE(second.submit_next());
    REQUIRE(node.wait([&] { return second.events.size() == 14; }, {&second}));
    CHECK(std::get<protocol::Batch>(second.events.back().what).number == 21);
    CHECK(second.numbers().back() == 21);
}

TEST_CASE("what a killed service had submitted is ordered without it, once") {
    Node node;
    auto first = std::make_unique<Service>(node.path());
    REQUIRE(node.wait([&] { return first->client.room() > 0; }, {first.get()}));
    node.ring->hold(true);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(first->submit_next());
    }
    REQUIRE(node.wait([&] { return node.ring->status().channels[0].services[0].submitted == 3; },
                      {first.get()}));
    const ring::ResumePoint kept = first->resume_point();
    first.reset();
    node.ring->hold(false);

    Service second(node.path(), kept);
    REQUIRE(node.wait([&] { return second.events.size() == 3; }, {&second}));
    CHECK(second.numbers() == up_to(3));
    CHECK(second.client.outstanding_bytes() == 0);
}

TEST_CASE("a state that is older than what was acknowledged is refused, and begins afresh") {
    Node node;
    auto first = std::make_unique<Service>(node.path());
    REQUIRE(node.wait([&] { return first->client.room() > 0; }, {first.get()}));
    for (int i = 0; i < 10; ++i) {
        REQUIRE(first->submit_next());
    }
    REQUIRE(node.wait_for_own(*first));
    REQUIRE(acknowledge(node, *first, Cursor{6}));
    ring::ResumePoint kept{.incarnation = first->client.incarnation(), .applied = Cursor{5}};
    SUBCASE("before what was acknowledged") {}
    SUBCASE("beyond what there is") {
        kept.applied = Cursor{12};
    }
    first.reset();

    Service second(node.path(), kept);
    REQUIRE(node.wait([&] { return !second.lost.empty(); }, {&second}));
    second.client.acknowledge(kept.applied);  // Its state was stored just then: of no attachment.
    REQUIRE(node.wait([&] { return !second.events.empty(); }, {&second}));
    REQUIRE(second.lost.size() == 1);
    CHECK(second.lost[0] == "its state is older than what it acknowledged or submitted");
    REQUIRE(second.attached.size() == 1);
    CHECK_FALSE(second.attached[0].resumed);
    CHECK(second.client.incarnation() != kept.incarnation);
    CHECK(second.received() == Cursor{1});
    // The others see another service in the place of the old one.
    CHECK(second.last_view()->joined == std::vector{OneNodeRing::kSelf});
    REQUIRE(second.submit_next());
    CHECK(node.wait_for_own(second));
}

TEST_CASE("an attachment that ringd does not know is refused, and begins afresh") {
    Node node;
    Service service(node.path(),
                    ring::ResumePoint{.incarnation = Incarnation{77}, .applied = Cursor{3}});
    REQUIRE(node.wait([&] { return !service.events.empty(); }, {&service}));
    CHECK(service.lost == std::vector<std::string>{"this attachment is not known here"});
    CHECK(service.client.incarnation() != Incarnation{77});
    CHECK(service.received() == Cursor{1});
}

TEST_CASE("a second service of a channel is kept off until the first is gone") {
    Node node;
    auto first = std::make_unique<Service>(node.path());
    REQUIRE(node.wait([&] { return first->events.size() == 1; }, {first.get()}));
    Service second(node.path());
    REQUIRE(node.wait([&] { return second.lost.size() >= 2; }, {first.get(), &second}));
    CHECK(second.lost[0] == "another service is attached to this channel");
    CHECK(second.attached.empty());
    CHECK(first->lost.empty());

    first.reset();
    REQUIRE(node.wait([&] { return second.events.size() == 1; }, {&second}));
    CHECK(second.last_view()->members[0].incarnation == second.client.incarnation());
}

TEST_CASE("it waits for a ringd that is not there yet") {
    Node node;
    node.ring.reset();
    Service service(node.path());
    REQUIRE(node.wait([&] { return service.lost.size() >= 3; }, {&service}));
    CHECK(service.client.room() == 0);
    CHECK_FALSE(service.client.fits(0));
    node.start_ring();
    REQUIRE(node.wait([&] { return service.events.size() == 1; }, {&service}));
    CHECK(service.client.room() > 0);
}

TEST_CASE("after a restart of ringd it begins afresh, and what it had not told is gone") {
    Node node;
    Service service(node.path());
    REQUIRE(node.wait([&] { return service.client.room() > 0; }, {&service}));
    const Incarnation before = service.client.incarnation();
    node.ring->hold(true);
    REQUIRE(service.submit_next());
    node.ring.reset();
    REQUIRE(node.wait([&] { return !service.client.is_attached(); }, {&service}));

    node.start_ring();
    REQUIRE(node.wait([&] { return service.attached.size() == 2; }, {&service}));
    CHECK_FALSE(service.attached[1].resumed);
    CHECK(service.client.incarnation() != before);
    CHECK(service.client.outstanding_bytes() == 0);
    REQUIRE(node.wait([&] { return service.events.size() == 1; }, {&service}));
    CHECK(service.last_view()->ring.seq == 2);
}

TEST_CASE("a connection that is cut after any byte costs nothing and doubles nothing") {
    constexpr int kCuts = 60;
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
        CAPTURE(seed);
        Node node({.window_bytes = 256});
        node.relay.emplace(node.relay_path(), node.path());
        base::Prng random(seed);
        Service service(node.relay_path());
        REQUIRE(node.wait([&] { return service.client.room() > 0; }, {&service}));
        for (int cut = 0; cut < kCuts; ++cut) {
            // Mostly while frames are under way, now and then in the greeting of the next try.
            node.relay->cut_after(1 + random.below(2000));
            REQUIRE(node.wait(
                [&] {
                    (void)service.submit_next();
                    if (random.below(4) == 0) service.client.acknowledge(service.received());
                    return node.relay->has_cut();
                },
                {&service}));
        }
        REQUIRE(node.wait_for_own(service));
        CHECK(service.client.reconnects() >= kCuts / 2);
        CHECK(service.numbers() == up_to(service.next_number - 1));
        CHECK(are_contiguous(service.events, 1));
        const auto resumed = [](const protocol::Attached& attached) { return attached.resumed; };
        CHECK(std::ranges::count_if(service.attached, resumed) + 1 ==
              static_cast<std::ptrdiff_t>(service.attached.size()));
    }
}

TEST_CASE("a ringd that says what is no frame is left, and tried again") {
    zmtp::test::TemporaryFolder folder;
    auto loop = os::EventLoop::create();
    REQUIRE(loop);
    zmtp::Server* server = nullptr;
    auto made = zmtp::Server::create(*loop, *zmtp::Listener::listen(folder.file("ring")), {},
                                     {.connected = [](auto, const auto&) { return true; },
                                      .message =
                                          [&](zmtp::ServerConnectionId from, const base::Buffer&) {
                                              CHECK(server->send(from, zmtp::test::pattern(20)));
                                          },
                                      .closed = [](auto, const std::string&) {},
                                      .process_ended = nullptr});
    REQUIRE(made);
    server = made->get();
    loop->at_turn_end([&] { server->flush(); });

    Service service(folder.file("ring"));
    const base::Instant until = os::now() + kSoon;
    while (service.lost.size() < 2 && os::now() < until) {
        REQUIRE(loop->turn(std::chrono::milliseconds(1)));
        service.turn();
    }
    REQUIRE(service.lost.size() >= 2);
    CHECK(service.lost[0] == "ringd sent a frame that is none");
    CHECK(service.attached.empty());
}

TEST_CASE("an observer that does not read is ended, and nobody waits for it") {
    constexpr std::size_t kBytes = 100'000;
    Node node({.observer_bytes_max = 1'000'000});
    auto socket = zmtp::connect_to(node.path());
    REQUIRE(socket);
    zmtp::Connection observer(std::move(*socket), zmtp::Side::Connecting, zmtp::Limits{});
    REQUIRE(observer.send(protocol::encode(protocol::ServiceFrame{
        protocol::Attach{.role = protocol::Attach::Role::Observer, .channel = "cpg"}})));
    const auto observers = [&] {
        const stream::Status status = node.ring->status();
        return status.channels.empty() ? 0 : status.channels[0].observers;
    };
    // Only what it takes to attach.
    REQUIRE(node.wait(
        [&] {
            if (observer.is_ready()) return observers() == 1;
            REQUIRE(observer.flush());
            REQUIRE(observer.receive([](const base::Buffer&) {}));
            REQUIRE(observer.flush());
            return false;
        },
        {}));

    Service service(node.path());
    std::uint64_t submitted = 0;
    REQUIRE(node.wait(
        [&] {
            if (service.client.fits(kBytes)) {
                (void)service.client.submit(zmtp::test::pattern(kBytes), false, false);
                ++submitted;
            }
            service.client.acknowledge(service.received());
            return observers() == 0;
        },
        {&service}));
    REQUIRE(node.wait([&] { return service.events.size() == submitted + 1; }, {&service}));

    // What it did get is without a gap, up to the end of the connection.
    std::uint64_t cursor = 0;
    for (;;) {
        const auto more = observer.receive([&](const base::Buffer& bytes) {
            const auto frame = protocol::decode_ring_frame(bytes);
            REQUIRE(frame);
            const auto* event = std::get_if<protocol::Event>(&*frame);
            if (event == nullptr) return;
            CHECK(event->cursor == Cursor{++cursor});
        });
        if (!more) break;
    }
    CHECK(cursor > 1);
    CHECK(cursor < submitted);
}
