// Long batches through ringd's memory.
#include <doctest/doctest.h>

#include <algorithm>

#include "common/ring_client/stream_client.hpp"
#include "tests/unit/common/ring_client/node.hpp"

using protocol::Cursor;

namespace {

base::Buffer long_payload(std::uint64_t number) {
    return zmtp::test::pattern(90'000 + number, number);
}

// A service that takes items gets those up to `last`; it has `submitted` some of them.
void exchange_long(Node& node, Service& service, std::uint64_t& submitted, std::uint64_t last) {
    REQUIRE(node.wait(
        [&] {
            while (submitted < last && service.client.fits(100'000)) {
                (void)service.client.submit(long_payload(++submitted), false, false);
            }
            service.client.acknowledge(service.received());
            return service.received() == Cursor{last + 1};  // After the View.
        },
        {&service}));
}

// Whether they are those that were submitted from `first` on; the View does not count.
bool are_long(const std::vector<protocol::Event>& events, std::uint64_t first) {
    return std::ranges::all_of(events, [&](const protocol::Event& event) {
        const auto* batch = std::get_if<protocol::Batch>(&event.what);
        return batch == nullptr || zmtp::test::same(batch->payload, long_payload(first++));
    });
}

}  // namespace

TEST_CASE("long batches lie in ringd's memory, whose places are used again when they are let go") {
    Node node;
    Service service(node.path(), {}, true);
    std::uint64_t submitted = 0;
    for (std::uint64_t last = 20; last <= 300; last += 20) {
        exchange_long(node, service, submitted, last);
        CHECK(service.client.lent_bytes() >= 1'800'000);
        CHECK(are_long(service.events, last - 19));
        service.events = {service.events.back()};
        std::get<protocol::Batch>(service.events.back().what).payload = {};
        CHECK(service.client.lent_bytes() == 0);
        service.events.pop_back();
    }
    CHECK(service.lost.empty());
    CHECK(node.ring->lent_bytes() < 3'000'000);
}

TEST_CASE("what a service holds stays as it is, and what has no room comes in frames") {
    Node node;
    Service service(node.path(), {}, true);
    std::uint64_t submitted = 0;
    exchange_long(node, service, submitted, 200);
    CHECK(service.client.lent_bytes() > 4'000'000);
    CHECK(service.client.lent_bytes() <= stream::ItemMemory::kBytes);
    CHECK(are_long(service.events, 1));
    CHECK(service.lost.empty());
    // It lets go of all of it, and gets the next ones there again.
    service.events = {service.events.back()};
    std::get<protocol::Batch>(service.events.back().what).payload = {};
    const std::size_t before = service.client.lent_bytes();
    CHECK(before == 0);
    exchange_long(node, service, submitted, 240);
    CHECK(service.client.lent_bytes() > 0);
}

TEST_CASE("what a service got from a ringd that is gone stays as it is") {
    Node node;
    Service service(node.path(), {}, true);
    std::uint64_t submitted = 0;
    exchange_long(node, service, submitted, 30);
    const std::vector<protocol::Event> before = service.events;
    CHECK(service.client.lent_bytes() > 1'000'000);
    node.ring.reset();
    node.start_ring();
    REQUIRE(node.wait([&] { return service.attached.size() == 2; }, {&service}));
    CHECK(service.client.lent_bytes() == 0);
    submitted = 0;
    exchange_long(node, service, submitted, 60);
    CHECK(service.client.lent_bytes() > 2'000'000);
    CHECK(are_long(before, 1));
    CHECK(are_long(service.events, 1));
}

TEST_CASE("a service to which no memory comes gets all of it in frames") {
    Node node;
    node.relay.emplace(node.relay_path(), node.path());  // Carries no descriptors.
    Service service(node.relay_path(), {}, true);
    std::uint64_t submitted = 0;
    exchange_long(node, service, submitted, 50);
    CHECK(are_long(service.events, 1));
    REQUIRE(service.lost.size() == 1);
    CHECK(service.lost[0] == "cannot map ringd's memory");
    CHECK(service.attached.back().resumed);
    CHECK(service.client.lent_bytes() == 0);
}
