// From submissions through packets to deliveries, without a ring between.
#include "ringd/totem/delivery.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "ringd/totem/send_queue.hpp"

namespace {

using base::NodeId;
using totem::Action;
using totem::Deliver;
using totem::Delivery;
using totem::Guarantee;
using totem::MessageStore;
using totem::Seq;

const base::RingId kRing{.seq = 1, .representative = NodeId{1}};

base::Buffer payload(std::size_t size, int fill) {
    return base::Buffer::copy_of(std::vector<std::byte>(size, static_cast<std::byte>(fill)));
}

totem::Submitted item(std::uint64_t number, std::size_t size,
                      Guarantee guarantee = Guarantee::Agreed, bool urgent = false) {
    return {.number = number,
            .guarantee = guarantee,
            .urgent = urgent,
            .payload = payload(size, static_cast<int>(number))};
}

// Packs all that waits into packets of `packet_bytes`, from `seq` on.
Seq pack_all(totem::SendQueue& queue, MessageStore& store, Seq seq, NodeId sender,
             std::size_t packet_bytes = 600) {
    totem::PacketMemory memory(queue.backlog_bytes());
    while (!queue.empty()) {
        totem::DataWriter writer(
            {.ring = kRing, .seq = seq, .sender = sender, .visit = totem::TokenSeq{1}},
            packet_bytes, memory);
        queue.pack(writer);
        CHECK(store.insert(seq, sender, std::move(writer).finish()));
        seq = next(seq);
    }
    return seq;
}

std::vector<std::size_t> sizes(const std::vector<Action>& actions) {
    std::vector<std::size_t> out;
    for (const Action& action : actions)
        out.push_back(std::get<Deliver>(action).payload.size());
    return out;
}

}  // namespace

TEST_CASE("items of all sizes come out as they went in") {
    totem::SendQueue queue;
    MessageStore store;
    const std::vector<std::size_t> in{0, 1, 500, 556, 557, 3000, 10, 70000};
    for (std::size_t i = 0; i < in.size(); ++i)
        queue.push(item(i + 1, in[i]));
    pack_all(queue, store, Seq{1}, NodeId{1});
    CHECK(queue.taken() == in.size());
    CHECK(queue.bytes() == 0);

    Delivery delivery(kRing);
    std::vector<Action> out;
    delivery.deliver(store, Seq{}, {out});
    CHECK(sizes(out) == in);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const auto& deliver = std::get<Deliver>(out[i]);
        for (const std::byte byte : deliver.payload.bytes()) {
            REQUIRE(byte == static_cast<std::byte>(i + 1));
        }
    }
    CHECK(delivery.delivered() == store.high());
}

TEST_CASE("small items share a packet and are delivered without a copy") {
    totem::SendQueue queue;
    MessageStore store;
    for (std::uint64_t i = 1; i <= 10; ++i)
        queue.push(item(i, 30));
    pack_all(queue, store, Seq{1}, NodeId{1});
    CHECK(store.high() == Seq{1});
    Delivery delivery(kRing);
    std::vector<Action> out;
    delivery.deliver(store, Seq{}, {out});
    REQUIRE(out.size() == 10);
    const auto& last = std::get<Deliver>(out.back());
    CHECK(last.index == 9);
    const base::Buffer& packet = store.find(Seq{1})->packet;
    CHECK(last.payload.data() > packet.data());
    CHECK(last.payload.data() < packet.data() + packet.size());
}

TEST_CASE("what came in fragments is put together in the memory that is given") {
    struct Counting final : base::Memory {
        base::MutableBuffer allocate(std::size_t bytes) override {
            asked.push_back(bytes);
            return base::MutableBuffer(bytes);
        }
        std::vector<std::size_t> asked;
    };
    totem::SendQueue queue;
    MessageStore store;
    queue.push(item(1, 3000));
    queue.push(item(2, 10));
    queue.push(item(3, 70000));
    pack_all(queue, store, Seq{1}, NodeId{1});
    Delivery delivery(kRing);
    Counting memory;
    std::vector<Action> out;
    delivery.deliver(store, Seq{}, {.actions = out, .memory = &memory});
    CHECK(sizes(out) == std::vector<std::size_t>{3000, 10, 70000});
    CHECK(memory.asked == std::vector<std::size_t>{3000, 70000});
}

TEST_CASE("packets of one visit lie side by side, each as it was kept") {
    totem::PacketMemory memory(100'000);
    std::vector<base::Buffer> packets;
    for (int i = 0; i < 100; ++i) {
        const auto room = memory.room(1400);
        REQUIRE(room.size() == 1400);
        std::ranges::fill(room, static_cast<std::byte>(i));
        packets.push_back(memory.keep(static_cast<std::size_t>(1000 + i)));
    }
    for (int i = 0; i < 100; ++i) {
        const auto bytes = packets[static_cast<std::size_t>(i)].bytes();
        CHECK(bytes.size() == static_cast<std::size_t>(1000 + i));
        CHECK(std::ranges::all_of(bytes,
                                  [&](std::byte b) { return b == static_cast<std::byte>(i); }));
    }
}

TEST_CASE("an urgent item overtakes, but not into the middle of another") {
    totem::SendQueue queue;
    MessageStore store;
    queue.push(item(1, 2000));
    totem::PacketMemory memory(600);
    totem::DataWriter writer(
        {.ring = kRing, .seq = Seq{1}, .sender = NodeId{1}, .visit = totem::TokenSeq{1}}, 600,
        memory);
    queue.pack(writer);
    CHECK(store.insert(Seq{1}, NodeId{1}, std::move(writer).finish()));
    queue.push(item(2, 20));
    queue.push(item(3, 30, Guarantee::Agreed, true));
    pack_all(queue, store, Seq{2}, NodeId{1});
    Delivery delivery(kRing);
    std::vector<Action> out;
    delivery.deliver(store, Seq{}, {out});
    CHECK(sizes(out) == std::vector<std::size_t>{2000, 30, 20});
    CHECK(queue.taken() == 3);
}

TEST_CASE("taken counts up to the first item that was overtaken") {
    totem::SendQueue queue;
    MessageStore store;
    queue.push(item(1, 560));
    queue.push(item(2, 550, Guarantee::Agreed, true));
    totem::PacketMemory memory(600);
    totem::DataWriter writer(
        {.ring = kRing, .seq = Seq{1}, .sender = NodeId{1}, .visit = totem::TokenSeq{1}}, 600,
        memory);
    queue.pack(writer);
    CHECK(queue.taken() == 0);
    pack_all(queue, store, Seq{1}, NodeId{1});
    CHECK(queue.taken() == 2);
}

TEST_CASE("a safe item that is not stable holds up all that follow") {
    totem::SendQueue queue;
    MessageStore store;
    queue.push(item(1, 10));
    queue.push(item(2, 20, Guarantee::Safe));
    queue.push(item(3, 30));
    pack_all(queue, store, Seq{1}, NodeId{1});
    queue.push(item(4, 40));
    pack_all(queue, store, Seq{2}, NodeId{1});

    Delivery delivery(kRing);
    std::vector<Action> out;
    delivery.deliver(store, Seq{0}, {out});
    CHECK(sizes(out) == std::vector<std::size_t>{10});
    CHECK(delivery.delivered() == Seq{0});
    delivery.deliver(store, Seq{1}, {out});
    CHECK(sizes(out) == std::vector<std::size_t>{10, 20, 30, 40});
    CHECK(std::get<Deliver>(out[1]).index == 1);
}

TEST_CASE("after the first gap only members of the transitional configuration are delivered") {
    MessageStore store;
    const auto put = [&](std::uint64_t seq, std::uint32_t sender, std::size_t size) {
        totem::SendQueue queue;
        queue.push(item(1, size, Guarantee::Safe));
        pack_all(queue, store, Seq{seq}, NodeId{sender});
    };
    put(1, 3, 1);
    put(3, 3, 3);  // From who does not come along, behind a gap.
    put(4, 2, 4);
    Delivery delivery(kRing);
    std::vector<Action> out;
    delivery.deliver(store, Seq{0}, {out});
    CHECK(out.empty());
    delivery.deliver_transitional(store, Seq{4}, {NodeId{1}, NodeId{2}}, {out});
    CHECK(sizes(out) == std::vector<std::size_t>{1, 4});
}

TEST_CASE("an item cut off by a gap is not delivered in part") {
    totem::SendQueue queue;
    MessageStore whole;
    queue.push(item(1, 1500));
    pack_all(queue, whole, Seq{1}, NodeId{2});
    REQUIRE(whole.high() == Seq{3});
    MessageStore store;
    CHECK(store.insert(Seq{1}, NodeId{2}, whole.find(Seq{1})->packet));
    CHECK(store.insert(Seq{3}, NodeId{2}, whole.find(Seq{3})->packet));
    Delivery delivery(kRing);
    std::vector<Action> out;
    delivery.deliver(store, Seq{0}, {out});
    delivery.deliver_transitional(store, Seq{3}, {NodeId{2}}, {out});
    CHECK(out.empty());
}

TEST_CASE("an item that was sent in part goes out whole in the next ring") {
    totem::SendQueue queue;
    queue.push(item(1, 1500));
    totem::PacketMemory memory(600);
    totem::DataWriter writer(
        {.ring = kRing, .seq = Seq{1}, .sender = NodeId{1}, .visit = totem::TokenSeq{1}}, 600,
        memory);
    queue.pack(writer);
    queue.restart_item();
    MessageStore store;
    pack_all(queue, store, Seq{1}, NodeId{1});
    Delivery delivery(kRing);
    std::vector<Action> out;
    delivery.deliver(store, Seq{0}, {out});
    CHECK(sizes(out) == std::vector<std::size_t>{1500});
}
