// How many nodes that start, come along or lose one of them come to one ring, and what they say.
#include <doctest/doctest.h>

#include <deque>
#include <optional>

#include "ringd/totem/ring.hpp"

namespace {

using std::chrono::milliseconds;

// Of so many nodes the representative leads the others.
constexpr std::size_t kNodes = 20;

base::NodeId node(std::size_t index) {
    return base::NodeId{static_cast<std::uint32_t>(index + 1)};
}

totem::RingConfig config_of(std::size_t index) {
    totem::RingConfig config;
    config.self = node(index);
    for (std::size_t other = 0; other < kNodes; ++other) {
        if (other != index)
            config.peers.push_back({.node = node(other), .links = {totem::LinkId{0}}});
    }
    return config;
}

// Packets take no time; to who does not run they are lost.
class World {
  public:
    World() : nodes_(kNodes) {}

    void start(std::size_t index) {
        nodes_[index].emplace(config_of(index), base::RingId{}, index, now_);
        step(index, totem::DeadlinePassed{});
        settle();
    }
    void kill(std::size_t index) { nodes_[index].reset(); }
    void refuse(std::size_t by, std::size_t to) {
        step(to, totem::PeerEvidence{.peer = node(by),
                                     .link = totem::LinkId{0},
                                     .kind = totem::PeerEvidence::Kind::PortUnreachable});
        settle();
    }
    void pass(base::Duration length) {
        for (const base::Instant end = now_ + length; now_ < end;) {
            now_ += milliseconds(1);
            for (std::size_t i = 0; i < kNodes; ++i) {
                if (!nodes_[i]) continue;
                const auto deadline = nodes_[i]->next_deadline();
                if (deadline && *deadline <= now_) step(i, totem::DeadlinePassed{});
            }
            settle();
        }
    }
    [[nodiscard]] const totem::Ring& ring(std::size_t index) const { return *nodes_[index]; }
    [[nodiscard]] std::size_t members(std::size_t index) const {
        return ring(index).status().members.size();
    }
    [[nodiscard]] std::uint64_t rings(std::size_t index) const {
        return ring(index).stats().rings_formed;
    }
    [[nodiscard]] bool is_whole() const {
        std::size_t running = 0;
        for (const auto& each : nodes_)
            running += each ? 1u : 0u;
        for (std::size_t i = 0; i < kNodes; ++i) {
            if (nodes_[i] && members(i) != running) return false;
        }
        return true;
    }

    std::size_t joins = 0;

  private:
    struct Packet {
        std::size_t from = 0;
        std::size_t to = 0;
        base::Buffer bytes;
    };

    void settle() {
        while (!packets_.empty()) {
            const Packet packet = std::move(packets_.front());
            packets_.pop_front();
            if (!nodes_[packet.to]) continue;
            step(packet.to,
                 totem::PacketArrived{
                     .from = node(packet.from), .link = totem::LinkId{0}, .packet = packet.bytes});
            step(packet.to, totem::Drained{});
        }
    }
    void step(std::size_t index, const totem::Event& event) {
        std::vector<totem::Action> actions;
        nodes_[index]->step(now_, event, actions);
        std::optional<base::RingId> stored;
        for (const totem::Action& action : actions) {
            if (const auto* one = std::get_if<totem::SendTo>(&action)) {
                send(index, one->to.value() - 1, one->packet);
            } else if (const auto* all = std::get_if<totem::SendToAll>(&action)) {
                for (std::size_t to = 0; to < kNodes; ++to) {
                    if (to != index) send(index, to, all->packet);
                }
            } else if (const auto* store = std::get_if<totem::StoreRing>(&action)) {
                stored = store->ring;
            }
        }
        if (stored) step(index, totem::RingStored{*stored});
    }
    void send(std::size_t from, std::size_t to, const base::Buffer& bytes) {
        if (totem::type_of(bytes.bytes()) == totem::PacketType::Join) ++joins;
        packets_.push_back({.from = from, .to = to, .bytes = bytes});
    }

    base::Instant now_{std::chrono::seconds(1)};
    std::vector<std::optional<totem::Ring>> nodes_;
    std::deque<Packet> packets_;
};

}  // namespace

TEST_CASE("of many nodes those that start one after the other form one ring, and no other") {
    World world;
    for (std::size_t i = 0; i < kNodes / 2; ++i) {
        world.start(i);
        world.pass(milliseconds(25));
    }
    world.pass(milliseconds(1000));
    CHECK(world.is_whole());
    for (std::size_t i = 0; i < kNodes / 2; ++i) {
        CAPTURE(i);
        CHECK(world.rings(i) == 1);
    }
}

TEST_CASE("when all of many are there nobody is waited for") {
    World world;
    for (std::size_t i = 0; i < kNodes; ++i)
        world.start(i);
    world.pass(milliseconds(50));
    CHECK(world.is_whole());
    CHECK(world.rings(0) == 1);
    // Each tells the representative, and that tells all: no word of each to each.
    CHECK(world.joins < 8 * kNodes);
    world.pass(milliseconds(3000));
    CHECK(world.rings(0) == 1);
}

TEST_CASE("who comes to a ring of many is taken in, and forms none meanwhile") {
    World world;
    for (std::size_t i = 0; i < kNodes / 2; ++i)
        world.start(i);
    world.pass(milliseconds(2000));
    REQUIRE(world.is_whole());
    const std::uint64_t before = world.rings(0);
    constexpr std::size_t kCome = 5;
    for (std::size_t i = kNodes / 2; i < kNodes / 2 + kCome; ++i) {
        world.start(i);
        world.pass(milliseconds(100));
    }
    world.pass(milliseconds(2000));
    CHECK(world.is_whole());
    for (std::size_t i = kNodes / 2; i < kNodes / 2 + kCome; ++i) {
        CAPTURE(i);
        CHECK(world.rings(i) == 1);
    }
    CHECK(world.rings(0) == before + 1);
}

TEST_CASE("that one of many is dead is said by who sees it, and needs no word of each to each") {
    World world;
    for (std::size_t i = 0; i < kNodes; ++i)
        world.start(i);
    world.pass(milliseconds(3000));
    REQUIRE(world.is_whole());
    world.kill(kNodes - 1);
    world.joins = 0;
    for (std::size_t watcher : {3u, 7u, 9u}) {
        for (int i = 0; i < 3; ++i)
            world.refuse(kNodes - 1, watcher);
    }
    world.pass(milliseconds(20));
    CHECK(world.is_whole());
    CHECK(world.joins < 10 * kNodes);
}
