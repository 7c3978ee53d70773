// One user with many sessions against the others.
#include <doctest/doctest.h>

#include "tests/unit/cpgd/toy_cluster.hpp"

namespace {

using namespace cpg_test;

constexpr std::uint32_t kGuest = 1000;
constexpr std::size_t kKiB = 1024;

cpg::Config small_shares() {
    cpg::Config config;
    config.session.window_bytes = 64 * kKiB;
    config.user_window_bytes = 128 * kKiB;
    config.user_queued_bytes = 256 * kKiB;
    return config;
}

// A member of user 0 on each of two nodes, and sessions of a guest on node 1, each in a group of
// its own.
struct Scene {
    explicit Scene(std::uint32_t guest_sessions)
        : cluster({1, 2}, small_shares()),
          one((cluster.partition({{1, 2}}), cluster.settle(), cluster.add_client(1, 10))),
          two(cluster.add_client(2, 20)) {
        cluster.join(one, "ours");
        cluster.join(two, "ours");
        for (std::uint32_t i = 0; i < guest_sessions; ++i) {
            ToyClient& guest = cluster.add_client(1, 100 + i, kGuest);
            cluster.join(guest, "guest" + std::to_string(i));
            guests.push_back(&guest);
        }
        cluster.settle();
    }
    [[nodiscard]] std::size_t guests_left() {
        std::size_t count = 0;
        for (const cpg::SessionStatus& session : cluster.core(1).status().sessions) {
            count += session.uid == kGuest ? 1 : 0;
        }
        return count;
    }
    [[nodiscard]] std::size_t outstanding() {
        std::size_t bytes = 0;
        for (const cpg::SessionStatus& session : cluster.core(1).status().sessions) {
            bytes += session.uid == kGuest ? session.outstanding_bytes : 0;
        }
        return bytes;
    }

    ToyCluster cluster;
    ToyClient& one;
    ToyClient& two;
    std::vector<ToyClient*> guests;
};

cpg::Pending record_of(std::uint64_t number) {
    return {.record = cpg::Marker{.nonce = number}};
}
std::uint64_t number_of(const cpg::Pending& pending) {
    return std::get<cpg::Marker>(pending.record).nonce;
}

}  // namespace

TEST_CASE("many sessions of one user share what few may have, and give it back") {
    Scene scene(8);
    CHECK(scene.one.window == 64 * kKiB);
    for (const ToyClient* guest : scene.guests) {
        CHECK(guest->window == 16 * kKiB);
    }
    for (std::size_t i = 1; i < 8; ++i) {
        scene.cluster.kill(*scene.guests[i]);
    }
    scene.cluster.settle();
    CHECK(scene.guests[0]->window == 64 * kKiB);
}

TEST_CASE("with a small share a sender gets its credit before it is used up") {
    Scene scene(60);
    ToyClient& guest = *scene.guests[0];
    for (int i = 0; i < 100; ++i) {
        scene.cluster.send(guest, std::string(kKiB, 'x'));
        scene.cluster.settle();
        std::size_t uncredited = 0;
        for (const auto& mcast : guest.uncredited) {
            uncredited += cpg::mcast_cost(mcast.payload.size());
        }
        REQUIRE(uncredited < guest.window);
    }
    CHECK(guest.received.size() == 100);
}

TEST_CASE("a user whose sessions send on against all windows loses them, and nobody else does") {
    Scene scene(60);
    scene.cluster.room = 0;  // The ring takes nothing for a while.
    for (int round = 0; round < 30; ++round) {
        for (ToyClient* guest : scene.guests) {
            if (guest->is_welcome) scene.cluster.send(*guest, std::string(4 * kKiB, 'x'));
        }
    }
    CHECK(scene.outstanding() <=
          4 * 128 * kKiB + 64 * kKiB + cpg::mcast_cost(protocol::cpg::kPartBytesMax));
    CHECK(scene.cluster.core(1).status().counters.protocol_errors > 0);
    scene.cluster.room = std::size_t{1} << 20u;
    scene.cluster.send(scene.one, "ours");
    scene.cluster.settle();
    CHECK(scene.two.received.size() == 1);
    CHECK(scene.one.is_welcome);
}

TEST_CASE("of a user whose sessions take nothing the largest end, and nobody else's") {
    Scene scene(60);
    scene.one.acknowledges = false;
    for (ToyClient* guest : scene.guests) {
        guest->acknowledges = false;
    }
    scene.cluster.send(scene.one, std::string(8 * kKiB, 'x'));
    for (int round = 0; round < 5; ++round) {
        for (ToyClient* guest : scene.guests) {
            if (guest->is_welcome) scene.cluster.send(*guest, std::string(2 * kKiB, 'x'));
        }
        scene.cluster.settle();
    }
    std::size_t queued = 0;
    for (const cpg::SessionStatus& session : scene.cluster.core(1).status().sessions) {
        queued += session.uid == kGuest ? session.queued_bytes : 0;
    }
    CHECK(queued <= 256 * kKiB);
    CHECK(scene.guests_left() > 0);
    CHECK(scene.guests_left() < 60);
    CHECK(scene.cluster.core(1).status().counters.sessions_overflowed > 0);
    CHECK(scene.one.is_welcome);
}

TEST_CASE("users take turns, and each keeps its order") {
    cpg::PendingQueue queue;
    for (std::uint64_t i = 0; i < 100; ++i) {
        queue.push(1, record_of(i));
    }
    queue.push(2, record_of(1000));
    queue.push(2, record_of(1001));
    queue.push(cpg::PendingQueue::kNobody, record_of(2000));
    std::vector<std::uint64_t> numbers;
    while (!queue.empty()) {
        const std::uint64_t front = number_of(queue.front());
        numbers.push_back(number_of(queue.pop(cpg::PendingQueue::kTurnBytes / 2)));
        CHECK(numbers.back() == front);
    }
    REQUIRE(numbers.size() == 103);
    const std::vector<std::uint64_t> first(numbers.begin(), numbers.begin() + 7);
    CHECK(first == std::vector<std::uint64_t>{0, 1, 1000, 1001, 2000, 2, 3});
    CHECK(numbers.back() == 99);
}
