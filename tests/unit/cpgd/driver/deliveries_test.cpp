// What a client gets through its area, and what it can do there: nothing.
#include "cpgd/driver/deliveries.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/os/clock.hpp"
#include "tests/unit/common/zmtp/support.hpp"

namespace api = protocol::cpg;
using zmtp::test::pattern;
using zmtp::test::same;

namespace {

constexpr std::size_t kWaitingMax = std::size_t{8} << 20u;

// A server and one client of it, each with what it heard.
struct Link {
    Link()
        : loop(*os::EventLoop::create()),
          server(*zmtp::Server::create(loop, *zmtp::Listener::listen(folder.file("cpg")),
                                       {.features = api::kTakesArea},
                                       {.connected =
                                            [this](auto id, const auto&) {
                                                ids.push_back(id);
                                                return true;
                                            },
                                        .message = [](auto, const auto&) {},
                                        .closed = [](auto, const auto&) {},
                                        .process_ended = nullptr})),
          deliveries(*server, kWaitingMax),
          client(connect()) {}

    zmtp::Connection connect() {
        const std::size_t before = ids.size();
        zmtp::Connection made(*zmtp::connect_to(folder.file("cpg")), zmtp::Side::Connecting,
                              {.takes_descriptor = true});
        turn_until([&] {
            (void)made.flush();
            (void)made.receive([](const auto&) {});
            return ids.size() > before && made.is_ready();
        });
        return made;
    }
    template <class Condition>
    void turn_until(Condition condition) {
        const base::Instant until = os::now() + zmtp::test::kPatience;
        while (!condition()) {
            REQUIRE(os::now() < until);
            server->flush();
            REQUIRE(loop.turn(std::chrono::milliseconds(1)));
        }
    }
    // Until the client has heard so many frames.
    void hear(std::size_t count) {
        turn_until([&] {
            (void)client.receive([&](const base::Buffer& bytes) {
                heard.push_back(*api::decode_cpgd_frame(bytes));
            });
            return heard.size() >= count;
        });
        REQUIRE(heard.size() == count);
    }
    [[nodiscard]] bool send(std::uint64_t event, const base::Buffer& payload) {
        return deliveries.send(
            ids.front(), api::SessionEvent{.event = event,
                                           .what = api::Delivered{.handle = api::GroupHandle{1},
                                                                  .node = base::NodeId{1},
                                                                  .pid = 9,
                                                                  .message_bytes = payload.size(),
                                                                  .payload = payload}});
    }
    [[nodiscard]] const api::DeliveredInArea* in_area(std::size_t index) const {
        return std::get_if<api::DeliveredInArea>(&heard.at(index));
    }

    zmtp::test::TemporaryFolder folder;
    os::EventLoop loop;
    std::vector<zmtp::ServerConnectionId> ids;
    std::unique_ptr<zmtp::Server> server;
    cpgd::Deliveries deliveries;
    zmtp::Connection client;
    std::vector<api::CpgdFrame> heard;
};

}  // namespace

TEST_CASE("long messages lie in the area, short ones in their frames") {
    Link link;
    link.deliveries.add(link.ids.front(), 1'000);
    const base::Buffer first = pattern(70'000);
    const base::Buffer third = pattern(api::kPartBytesMax, 3);
    CHECK(link.send(1, first));
    CHECK(link.send(2, pattern(4'096)));
    CHECK(link.send(3, third));
    link.hear(3);
    const os::UniqueFd file = link.client.take_descriptor();
    REQUIRE(file.is_open());
    void* const memory =
        ::mmap(nullptr, cpgd::DeliveryArea::kBytes, PROT_READ, MAP_SHARED, file.get(), 0);
    REQUIRE(memory != MAP_FAILED);
    const auto payload = [&](std::size_t index) {
        const api::DeliveredInArea* const at = link.in_area(index);
        REQUIRE(at != nullptr);
        return base::Buffer::copy_of(
            {static_cast<const std::byte*>(memory) + at->offset, at->payload_bytes});
    };
    CHECK(same(payload(0), first));
    CHECK(std::holds_alternative<api::SessionEvent>(link.heard[1]));
    CHECK(same(payload(2), third));
    CHECK(::munmap(memory, cpgd::DeliveryArea::kBytes) == 0);
}

TEST_CASE("what finds no room waits in order until the client acknowledges") {
    Link link;
    link.deliveries.add(link.ids.front(), 1'000);
    for (std::uint64_t event = 1; event <= 6; ++event) {
        CHECK(link.send(event, pattern(event == 5 ? 100 : 1'000'000, event)));
    }
    link.hear(2);
    CHECK(link.deliveries.acknowledged(link.ids.front(), 1));
    link.hear(3);
    CHECK(link.deliveries.acknowledged(link.ids.front(), 3));
    link.hear(6);
    for (std::size_t i = 0; i < 6; ++i) {
        CHECK((link.in_area(i) != nullptr) == (i != 4));
        if (i != 4) CHECK(link.in_area(i)->event == i + 1);
    }
}

TEST_CASE("a client that holds back what it may for ever gets the next message in its frame") {
    Link link;
    link.deliveries.add(link.ids.front(), 1'000);
    CHECK(link.send(1, pattern(1'000'000)));
    CHECK(link.send(2, pattern(60'000)));
    CHECK(link.deliveries.acknowledged(link.ids.front(), 1));
    // Event 2 lies in the middle, and no part of the greatest length fits on either side.
    CHECK(link.send(3, pattern(api::kPartBytesMax)));
    CHECK(link.send(4, pattern(1'000'000)));
    link.hear(4);
    CHECK(link.in_area(1) != nullptr);
    CHECK(link.in_area(2) == nullptr);
    CHECK(link.in_area(3) != nullptr);
}

TEST_CASE("a client that takes nothing costs a bound") {
    Link link;
    link.deliveries.add(link.ids.front(), 1'000);
    std::size_t sent = 0;
    while (link.send(sent + 1, pattern(500'000))) {
        ++sent;
        REQUIRE(sent < 100);
    }
    CHECK(sent * 500'000 >= kWaitingMax);
    CHECK(sent * 500'000 <= kWaitingMax + cpgd::DeliveryArea::kBytes);
    // It lies about what it has had: then all of it goes out, over itself.
    CHECK(link.deliveries.acknowledged(link.ids.front(), UINT64_MAX));
}

TEST_CASE("the areas of one user are counted, and those of a connection that is gone are free") {
    Link link;
    std::vector<zmtp::Connection> others;
    const std::size_t count = cpgd::Deliveries::kAreasOfUserMax + 1;
    while (link.ids.size() < count)
        others.push_back(link.connect());
    const auto gets_area = [&](zmtp::ServerConnectionId id, zmtp::Connection& connection) {
        CHECK(link.deliveries.send(
            id, api::SessionEvent{.event = 1,
                                  .what = api::Delivered{.handle = api::GroupHandle{1},
                                                         .node = base::NodeId{1},
                                                         .message_bytes = 5'000,
                                                         .payload = pattern(5'000)}}));
        bool is_heard = false;
        link.turn_until([&] {
            (void)connection.receive([&](const auto&) { is_heard = true; });
            return is_heard;
        });
        return connection.take_descriptor().is_open();
    };
    for (std::size_t i = 0; i < count; ++i) {
        link.deliveries.add(link.ids[i], 65'534);
        zmtp::Connection& connection = i == 0 ? link.client : others[i - 1];
        CHECK(gets_area(link.ids[i], connection) == (i + 1 < count));
    }
    link.deliveries.remove(link.ids.front());
    CHECK(gets_area(link.ids.back(), others.back()));
}
