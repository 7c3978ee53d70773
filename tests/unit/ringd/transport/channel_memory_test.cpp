// A channel that is killed at any moment: the next one of the same life uses no counter twice, and
// takes no packet twice.
#include "ringd/transport/channel_memory.hpp"

#include <doctest/doctest.h>

#include <set>

#include "ringd/transport/secure_channel.hpp"

using base::NodeId;
using transport::ChannelMemory;
using transport::ClusterKey;
using transport::kAnyLink;
using transport::kOverheadBytes;
using transport::Opened;
using transport::SecureChannel;
using transport::Suite;

namespace {

using Bytes = std::vector<std::byte>;

struct Memory {
    std::vector<std::uint64_t> words = std::vector<std::uint64_t>(ChannelMemory::kBytes / 8, 0);
    std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(words)); }
};

ClusterKey key() {
    return ClusterKey::derive(Bytes(transport::kKeyBytesMin, std::byte{7})).value();
}

// A process of node `self` with one peer.
struct Process {
    Process(std::uint32_t self, std::uint32_t peer, Memory& kept) : memory(kept.bytes()) {
        const auto left = memory.left();
        channel.emplace(NodeId{self}, Suite::Aes256Gcm, key(),
                        left ? left->incarnation : SecureChannel::new_incarnation(),
                        left ? left->counter : SecureChannel::random_counter());
        const NodeId peers[] = {NodeId{peer}};
        channel->set_peers(peers);
        if (left) {
            channel->go_on_in(memory, *left);
        } else {
            channel->remember_in(memory);
        }
    }
    Bytes seal() {
        Bytes packet(10 + kOverheadBytes);
        channel->seal(kAnyLink, Bytes(10, std::byte{1}), packet);
        return packet;
    }
    Bytes hello(std::uint32_t to) {
        Bytes packet(transport::kHelloBytes + kOverheadBytes);
        channel->seal_hello(NodeId{to}, kAnyLink, packet);
        return packet;
    }
    bool takes(const Bytes& packet) {
        const auto header = channel->inspect(packet);
        REQUIRE(header.has_value());
        Bytes out(packet.size() - kOverheadBytes);
        const auto opened = channel->open(*header, 0, packet, out);
        return opened && opened->what == Opened::What::Data;
    }
    bool hears(const Bytes& hello) {
        const auto header = channel->inspect(hello);
        REQUIRE(header.has_value());
        Bytes out(hello.size() - kOverheadBytes);
        const auto opened = channel->open(*header, 0, hello, out);
        return opened && opened->say_hello;
    }

    ChannelMemory memory;
    std::optional<SecureChannel> channel;
};

void shake_hands(Process& a, std::uint32_t a_id, Process& b, std::uint32_t b_id) {
    (void)b.hears(a.hello(b_id));
    for (int i = 0; i < 3; ++i) {
        (void)a.hears(b.hello(a_id));
        (void)b.hears(a.hello(b_id));
    }
    REQUIRE(a.channel->is_proven(NodeId{b_id}));
    REQUIRE(b.channel->is_proven(NodeId{a_id}));
}

}  // namespace

TEST_CASE("a process that goes on needs no handshake, in either direction") {
    Memory of_a;
    Memory of_b;
    std::optional<Process> a(std::in_place, 1, 2, of_a);
    Process b(2, 1, of_b);
    shake_hands(*a, 1, b, 2);
    for (int life = 0; life < 20; ++life) {
        CAPTURE(life);
        CHECK(b.takes(a->seal()));
        CHECK(a->takes(b.seal()));
        const auto incarnation = a->channel->incarnation();
        a.emplace(1, 2, of_a);
        CHECK(a->channel->incarnation() == incarnation);
        CHECK(a->channel->is_proven(NodeId{2}));
    }
}

TEST_CASE("what the process before took is not taken again, what came later is") {
    Memory of_a;
    Memory of_b;
    std::optional<Process> a(std::in_place, 1, 2, of_a);
    Process b(2, 1, of_b);
    shake_hands(*a, 1, b, 2);
    const Bytes overtaken = b.seal();
    std::vector<Bytes> taken;
    for (int i = 0; i < 100; ++i) {
        taken.push_back(b.seal());
        CHECK(a->takes(taken.back()));
    }
    const Bytes in_the_socket = b.seal();
    a.emplace(1, 2, of_a);
    for (const Bytes& packet : taken) {
        CHECK_FALSE(a->takes(packet));
    }
    CHECK_FALSE(a->takes(overtaken));  // Lost, as on a bad network: nothing tells it from the rest.
    CHECK(a->takes(in_the_socket));
    CHECK_FALSE(a->takes(in_the_socket));
}

TEST_CASE("no counter is used twice, however soon the processes are killed") {
    Memory of_a;
    Memory of_b;
    std::set<std::uint64_t> used;
    Process b(2, 1, of_b);
    for (int life = 0; life < 20; ++life) {
        Process a(1, 2, of_a);
        for (int i = 0; i < 5; ++i) {
            const auto header = b.channel->inspect(a.seal());
            REQUIRE(header.has_value());
            CHECK(used.insert(header->counter).second);
        }
    }
}

TEST_CASE("a peer whose life is over is not proven to the next process") {
    Memory of_a;
    Memory of_b;
    std::optional<Process> a(std::in_place, 1, 2, of_a);
    Process b(2, 1, of_b);
    shake_hands(*a, 1, b, 2);
    Bytes obituary(kOverheadBytes);
    b.channel->seal_obituary(obituary);
    const auto header = a->channel->inspect(obituary);
    REQUIRE(header.has_value());
    REQUIRE(a->channel->open(*header, 0, obituary, {}).has_value());
    a.emplace(1, 2, of_a);
    CHECK_FALSE(a->channel->is_proven(NodeId{2}));
    CHECK_FALSE(a->takes(b.seal()));
}

TEST_CASE("a new life has forgotten what was left, and each node keeps its place") {
    Memory kept;
    ChannelMemory memory(kept.bytes());
    CHECK_FALSE(memory.left().has_value());
    memory.begin(5);
    memory.reserve(100);
    const auto place = memory.place_of(NodeId{7});
    REQUIRE(place.has_value());
    CHECK(memory.place_of(NodeId{8}) != place);
    memory.proven(*place, 77, 1000);
    memory.saw(*place, 1001);
    REQUIRE(memory.left().has_value());
    CHECK(memory.left()->counter == 100);
    REQUIRE(memory.left()->seen.size() == 1);
    CHECK(memory.left()->seen[0].node == NodeId{7});
    CHECK(memory.left()->seen[0].highest == 1001);
    CHECK(ChannelMemory(kept.bytes()).place_of(NodeId{7}) == place);
    memory.begin(6);
    CHECK(memory.left()->incarnation == 6);
    CHECK(memory.left()->seen.empty());
}

TEST_CASE("more peers than there is room for are not kept") {
    Memory kept;
    ChannelMemory memory(kept.bytes());
    memory.begin(1);
    for (std::uint32_t node = 1; node <= ChannelMemory::kPeersMax; ++node) {
        REQUIRE(memory.place_of(NodeId{node}).has_value());
    }
    CHECK_FALSE(memory.place_of(NodeId{5000}).has_value());
    CHECK(memory.place_of(NodeId{1}).has_value());
}
