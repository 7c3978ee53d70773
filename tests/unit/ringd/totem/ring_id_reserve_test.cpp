// Rings that do not wait for the disk, and the promise that they must not break: no ring id is used
// by two runs of a node.
#include "ringd/totem/ring_id_reserve.hpp"

#include <doctest/doctest.h>

#include <deque>

#include "ringd/totem/ring.hpp"
#include "ringd/totem/wire.hpp"

namespace {

using std::chrono::milliseconds;
using totem::kRingsReserved;
using totem::NodeSet;

constexpr std::size_t kNodes = 2;

base::NodeId node(std::size_t index) {
    return base::NodeId{static_cast<std::uint32_t>(index + 1)};
}

totem::RingConfig config_of(std::size_t index) {
    totem::RingConfig config;
    config.self = node(index);
    const std::size_t other = kNodes - 1 - index;
    config.peers.push_back({.node = node(other), .links = {totem::LinkId{0}}});
    return config;
}

// Two nodes, between whom packets take no time, with disks that answer or don't.
class Pair {
  public:
    struct Node {
        totem::Ring core;
        base::RingId durable{};
        std::deque<base::RingId> to_store{};
        std::vector<base::RingId> stored{};
        std::size_t commit_tokens = 0;  // That it sent.
    };

    explicit Pair(std::uint64_t first_seq = 0, std::uint64_t second_seq = 0) {
        for (const std::uint64_t seq : {first_seq, second_seq}) {
            const base::RingId durable{.seq = seq, .representative = base::kNoNode};
            const std::size_t index = nodes.size();
            nodes.push_back(
                {.core = totem::Ring(config_of(index), durable, index, now), .durable = durable});
        }
    }

    // The process dies, and another one begins with what the disk has.
    void restart(std::size_t index) {
        Node& it = nodes[index];
        it.to_store.clear();
        it.core = totem::Ring(config_of(index), it.durable, index, now);
    }
    void pass(base::Duration length) {
        for (const base::Instant end = now + length; now < end; now += milliseconds(1)) {
            for (std::size_t i = 0; i < kNodes; ++i) {
                if (disks_work) answer(i);
                const auto deadline = nodes[i].core.next_deadline();
                if (deadline && *deadline <= now) step(i, totem::DeadlinePassed{});
            }
            settle();
        }
    }
    [[nodiscard]] NodeSet members(std::size_t index) const {
        return nodes[index].core.status().members;
    }
    [[nodiscard]] std::uint64_t seq(std::size_t index) const {
        return nodes[index].core.status().ring.seq;
    }

    base::Instant now{milliseconds(1)};
    std::vector<Node> nodes{};
    bool disks_work = true;
    bool is_cut = false;

  private:
    struct Packet {
        std::size_t to = 0;
        base::Buffer bytes;
    };

    void answer(std::size_t index) {
        Node& it = nodes[index];
        while (!it.to_store.empty()) {
            it.durable = it.to_store.front();
            it.to_store.pop_front();
            it.stored.push_back(it.durable);
            step(index, totem::RingStored{it.durable});
        }
    }
    void settle() {
        while (!packets_.empty()) {
            const Packet packet = std::move(packets_.front());
            packets_.pop_front();
            if (is_cut) continue;
            step(packet.to, totem::PacketArrived{.from = node(kNodes - 1 - packet.to),
                                                 .link = totem::LinkId{0},
                                                 .packet = packet.bytes});
            step(packet.to, totem::Drained{});
        }
    }
    void step(std::size_t index, const totem::Event& event) {
        Node& it = nodes[index];
        std::vector<totem::Action> actions;
        it.core.step(now, event, actions);
        for (const totem::Action& action : actions) {
            if (const auto* one = std::get_if<totem::SendTo>(&action)) {
                send(it, index, one->packet);
            } else if (const auto* all = std::get_if<totem::SendToAll>(&action)) {
                send(it, index, all->packet);
            } else if (const auto* store = std::get_if<totem::StoreRing>(&action)) {
                it.to_store.push_back(store->ring);
            }
        }
    }
    void send(Node& from, std::size_t index, const base::Buffer& packet) {
        if (totem::type_of(packet.bytes()) == totem::PacketType::CommitToken) ++from.commit_tokens;
        packets_.push_back({.to = kNodes - 1 - index, .bytes = packet});
    }

    std::deque<Packet> packets_;
};

const NodeSet kBoth{base::NodeId{1}, base::NodeId{2}};
constexpr base::Duration kToSettle = std::chrono::seconds(10);

}  // namespace

TEST_CASE("nothing of a ring goes out before something is durable") {
    Pair pair;
    pair.disks_work = false;
    pair.pass(kToSettle);
    for (std::size_t i = 0; i < kNodes; ++i) {
        CHECK(pair.nodes[i].commit_tokens == 0);
        CHECK(pair.members(i).empty());
        CHECK(pair.nodes[i].to_store.size() == 1);
    }
    pair.disks_work = true;
    pair.pass(kToSettle);
    CHECK(pair.members(0) == kBoth);
    CHECK(pair.members(1) == kBoth);
}

TEST_CASE("after the first ring others need no disk, until half of what is reserved is used") {
    Pair pair;
    pair.pass(kToSettle);
    REQUIRE(pair.members(0) == kBoth);
    CHECK(pair.nodes[0].stored.size() == 1);
    pair.disks_work = false;
    const std::uint64_t before = pair.seq(0);
    pair.is_cut = true;
    pair.pass(kToSettle);
    CHECK(pair.members(0) == NodeSet{node(0)});
    pair.is_cut = false;
    pair.pass(kToSettle);
    CHECK(pair.members(0) == kBoth);
    CHECK(pair.members(1) == kBoth);
    CHECK(pair.seq(0) >= before + 2);
    CHECK(pair.seq(0) < before + kRingsReserved / 2);
    CHECK(pair.nodes[0].to_store.empty());

    pair.disks_work = true;
    for (std::uint64_t last = pair.seq(0); last < kRingsReserved; last = pair.seq(0)) {
        pair.is_cut = !pair.is_cut;
        pair.pass(kToSettle);
        REQUIRE(pair.seq(0) > last);
        CHECK(pair.nodes[0].durable.seq > pair.seq(0));
    }
    CHECK(pair.nodes[0].stored.size() == 2);
}

TEST_CASE("a node that starts again takes part in no ring of its former life") {
    Pair pair;
    pair.pass(kToSettle);
    REQUIRE(pair.members(1) == kBoth);
    for (std::size_t lives = 0; lives < 3; ++lives) {
        const std::uint64_t reserved = pair.nodes[1].durable.seq;
        CHECK(reserved >= pair.seq(1) + kRingsReserved / 2);
        pair.restart(1);
        pair.pass(kToSettle);
        REQUIRE(pair.members(0) == kBoth);
        REQUIRE(pair.members(1) == kBoth);
        CHECK(pair.seq(1) > reserved);
    }
}

TEST_CASE("who hears of a ring far beyond its own stores at once, not when the token comes") {
    Pair pair(0, 5000);
    pair.disks_work = false;
    pair.pass(milliseconds(100));
    REQUIRE(pair.nodes[0].to_store.size() == 2);
    CHECK(pair.nodes[0].to_store.front().seq == kRingsReserved);
    CHECK(pair.nodes[0].to_store.back().seq == 5000 + kRingsReserved);
    CHECK(pair.nodes[1].to_store.size() == 1);
    CHECK(pair.nodes[0].commit_tokens == 0);
}
