// What the secure channel promises: packets of the present life of a configured peer, each once,
// and nothing else, whoever records, changes or invents packets.
#include "ringd/transport/secure_channel.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/base/prng.hpp"

using base::NodeId;
using transport::Aead;
using transport::ClusterKey;
using transport::DropCause;
using transport::kAnyLink;
using transport::kHeaderBytes;
using transport::kOverheadBytes;
using transport::Opened;
using transport::SecureChannel;
using transport::Suite;

namespace {

using Bytes = std::vector<std::byte>;
using Result = base::Expected<Opened, DropCause>;

constexpr Suite kSuites[] = {Suite::None, Suite::Aes256Gcm, Suite::ChaCha20Poly1305};

ClusterKey key_of(std::uint8_t fill) {
    return ClusterKey::derive(Bytes(transport::kKeyBytesMin, std::byte{fill})).value();
}

Bytes payload_of(std::size_t size, std::uint8_t first = 1) {
    Bytes payload(size);
    for (std::size_t i = 0; i < size; ++i) {
        payload[i] = static_cast<std::byte>(first + i);
    }
    return payload;
}

// One life of a node: made anew, it is the same node after a restart.
struct Node {
    Node(std::uint32_t id, std::vector<std::uint32_t> peers, Suite suite = Suite::Aes256Gcm,
         const ClusterKey& key = key_of(7))
        : channel(NodeId{id}, suite, key, SecureChannel::new_incarnation(),
                  SecureChannel::random_counter()) {
        std::vector<NodeId> nodes;
        for (const std::uint32_t peer : peers) {
            nodes.emplace_back(peer);
        }
        channel.set_peers(nodes);
    }

    Bytes seal(const Bytes& payload, std::size_t padding = 0, std::uint8_t link = kAnyLink) {
        Bytes packet(payload.size() + kOverheadBytes + padding);
        channel.seal(link, payload, packet);
        return packet;
    }

    Bytes hello(std::uint32_t to) {
        Bytes packet(transport::kHelloBytes + kOverheadBytes);
        channel.seal_hello(NodeId{to}, kAnyLink, packet);
        return packet;
    }

    Bytes obituary() {
        Bytes packet(kOverheadBytes);
        channel.seal_obituary(packet);
        return packet;
    }

    Result open(const Bytes& packet, std::uint8_t link = 0) {
        const auto header = channel.inspect(packet);
        if (!header) return base::fail(header.error());
        out.assign(packet.size() - kOverheadBytes, std::byte{0});
        auto opened = channel.open(*header, link, packet, out);
        if (opened) out.resize(opened->payload_bytes);
        return opened;
    }

    // Why `packet` is dropped; nothing if it isn't.
    std::optional<DropCause> drop_of(const Bytes& packet, std::uint8_t link = 0) {
        const Result opened = open(packet, link);
        return opened ? std::nullopt : std::optional(opened.error());
    }

    SecureChannel channel;
    Bytes out;
};

// Each proves itself to the other, as the transport does it. Gives every hello that was sent.
std::vector<Bytes> shake_hands(Node& a, std::uint32_t a_id, Node& b, std::uint32_t b_id) {
    std::vector<Bytes> recorded;
    std::vector<std::pair<Node*, Bytes>> on_the_way{{&b, a.hello(b_id)}};
    while (!on_the_way.empty()) {
        REQUIRE(recorded.size() < 10);
        auto [to, packet] = std::move(on_the_way.back());
        on_the_way.pop_back();
        recorded.push_back(packet);
        const Result opened = to->open(packet);
        REQUIRE(opened.has_value());
        if (!opened->say_hello) continue;
        const bool to_a = to == &b;
        on_the_way.emplace_back(to_a ? &a : &b, to_a ? b.hello(a_id) : a.hello(b_id));
    }
    return recorded;
}

struct Pair {
    explicit Pair(Suite suite = Suite::Aes256Gcm) : a(1, {2}, suite), b(2, {1}, suite) {
        shake_hands(a, 1, b, 2);
    }
    Node a;
    Node b;
};

}  // namespace

TEST_CASE("a packet goes from one node to another with every suite and padding") {
    for (const Suite suite : kSuites) {
        REQUIRE(Aead::is_available(suite));
        Pair pair(suite);
        for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1400}}) {
            for (const std::size_t padding : {std::size_t{0}, std::size_t{3}}) {
                CAPTURE(size);
                const Bytes payload = payload_of(size);
                const Result opened = pair.b.open(pair.a.seal(payload, padding));
                REQUIRE(opened.has_value());
                CHECK(opened->what == Opened::What::Data);
                CHECK(opened->from == NodeId{1});
                CHECK_FALSE(opened->say_hello);
                CHECK(pair.b.out == payload);
            }
        }
    }
}

TEST_CASE("the handshake takes two hellos for one direction and three for both") {
    Node a(1, {2});
    Node b(2, {1});
    CHECK(shake_hands(a, 1, b, 2).size() == 3);
    CHECK(a.channel.is_proven(NodeId{2}));
    CHECK(b.channel.is_proven(NodeId{1}));
}

TEST_CASE("a sealed payload can't be read on the wire") {
    Pair pair;
    const Bytes payload = payload_of(64);
    const Bytes packet = pair.a.seal(payload);
    CHECK(std::ranges::search(packet, std::span(payload).first(8)).empty());
}

TEST_CASE("each changed bit of a packet is refused and changes nothing") {
    for (const Suite suite : kSuites) {
        Pair pair(suite);
        const Bytes packet = pair.a.seal(payload_of(40), 5);
        for (std::size_t bit = 0; bit < packet.size() * 8; ++bit) {
            CAPTURE(bit);
            Bytes changed = packet;
            changed[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
            CHECK(pair.b.drop_of(changed).has_value());
        }
        CHECK(pair.b.open(packet)->what == Opened::What::Data);
    }
}

TEST_CASE("every truncation is refused") {
    Pair pair;
    const Bytes packet = pair.a.seal(payload_of(40));
    for (std::size_t length = 0; length < packet.size(); ++length) {
        CAPTURE(length);
        const Bytes part(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(length));
        CHECK(pair.b.drop_of(part) == DropCause::Truncated);
    }
}

TEST_CASE("each cause has its own name") {
    Pair pair;
    const Bytes good = pair.a.seal(payload_of(10));

    Bytes other_magic = good;
    other_magic[0] ^= std::byte{1};
    CHECK(pair.b.drop_of(other_magic) == DropCause::NotOurs);
    Bytes other_version = good;
    other_version[2] = std::byte{9};
    CHECK(pair.b.drop_of(other_version) == DropCause::NotOurs);

    Node foreign(1, {2}, Suite::Aes256Gcm, key_of(8));
    CHECK(pair.b.drop_of(foreign.seal(payload_of(10))) == DropCause::ForeignCluster);
    Node chacha(1, {2}, Suite::ChaCha20Poly1305);
    CHECK(pair.b.drop_of(chacha.seal(payload_of(10))) == DropCause::OtherSuite);
    CHECK(pair.a.drop_of(good) == DropCause::FromSelf);
    Node stranger(3, {2});
    CHECK(pair.b.drop_of(stranger.seal(payload_of(10))) == DropCause::UnknownSender);

    Bytes forged = good;
    forged[40] ^= std::byte{1};
    CHECK(pair.b.drop_of(forged) == DropCause::NotAuthentic);
    CHECK(pair.b.drop_of(pair.a.seal(payload_of(10), 0, 1), 0) == DropCause::OtherLink);
    CHECK_FALSE(pair.b.drop_of(pair.a.seal(payload_of(10), 0, 1), 1).has_value());

    CHECK_FALSE(pair.b.drop_of(good).has_value());
    CHECK(pair.b.drop_of(good) == DropCause::Replayed);

    // A hello for somebody else, sent on to us.
    Node a(1, {2, 3});
    CHECK(pair.b.drop_of(a.hello(3)) == DropCause::Malformed);
}

TEST_CASE("with the key of the cluster a node can't speak for another") {
    // Only the header is changed: the sending key belongs to the sender named in it.
    Node b(2, {1, 3});
    Node a(1, {2});
    Bytes packet = a.seal(payload_of(10));
    packet[8] = std::byte{3};
    CHECK(b.drop_of(packet) == DropCause::NotAuthentic);
}

TEST_CASE("packets that overtake each other arrive, each once") {
    Pair pair;
    std::vector<Bytes> packets;
    for (int i = 0; i < 300; ++i) {
        packets.push_back(pair.a.seal(payload_of(8)));
    }
    for (auto packet = packets.rbegin(); packet != packets.rend(); ++packet) {
        CHECK_FALSE(pair.b.drop_of(*packet).has_value());
    }
    for (const Bytes& packet : packets) {
        CHECK(pair.b.drop_of(packet) == DropCause::Replayed);
    }
}

TEST_CASE("hellos may get lost, twice and delayed: the traffic brings the proof in the end") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        base::Prng random(seed);
        Node a(1, {2});
        Node b(2, {1});
        // What is on its way, with the receiver.
        std::vector<std::pair<Node*, Bytes>> on_the_way;
        int rounds = 0;
        while (!a.channel.is_proven(NodeId{2}) || !b.channel.is_proven(NodeId{1})) {
            REQUIRE(++rounds < 1000);
            if (random.below(4) == 0) on_the_way.emplace_back(&b, a.seal(payload_of(3)));
            if (random.below(4) == 0) on_the_way.emplace_back(&a, b.seal(payload_of(3)));
            if (on_the_way.empty()) continue;
            const std::size_t chosen = random.below(on_the_way.size());
            auto [to, packet] = on_the_way[chosen];
            if (random.below(5) != 0) {
                on_the_way.erase(on_the_way.begin() + static_cast<std::ptrdiff_t>(chosen));
            }
            if (random.below(2) == 0) continue;
            const Result opened = to->open(packet);
            if (!opened || !opened->say_hello) continue;
            on_the_way.emplace_back(to == &b ? &a : &b, to == &b ? b.hello(1) : a.hello(2));
        }
        CHECK(b.open(a.seal(payload_of(4)))->what == Opened::What::Data);
        CHECK(a.open(b.seal(payload_of(4)))->what == Opened::What::Data);
    }
}

TEST_CASE("what an unproven life sends is early, and data once it has proven itself") {
    Node a(1, {2});
    Node b(2, {1});
    const Result early = b.open(a.seal(payload_of(4)));
    REQUIRE(early.has_value());
    CHECK(early->what == Opened::What::Early);
    CHECK(early->say_hello);
    CHECK(early->incarnation == a.channel.incarnation());

    shake_hands(b, 2, a, 1);
    CHECK(b.open(a.seal(payload_of(4)))->what == Opened::What::Data);
}

TEST_CASE("a receiver that restarts takes no recording of a former life for the present one") {
    std::vector<Bytes> recorded;
    {
        Node a(1, {2});
        Node b(2, {1});
        recorded = shake_hands(a, 1, b, 2);
        recorded.push_back(a.seal(payload_of(10)));
        CHECK(b.open(recorded.back())->what == Opened::What::Data);
    }
    Node b(2, {1});
    for (int round = 0; round < 3; ++round) {
        for (const Bytes& packet : recorded) {
            const Result opened = b.open(packet);
            CHECK((!opened || opened->what == Opened::What::Early ||
                   opened->what == Opened::What::Hello));
        }
    }
    CHECK_FALSE(b.channel.is_proven(NodeId{1}));

    // And the recordings are in nobody's way.
    Node a(1, {2});
    shake_hands(a, 1, b, 2);
    CHECK(b.open(a.seal(payload_of(10)))->what == Opened::What::Data);
    CHECK(b.open(recorded.back())->what == Opened::What::Early);
}

TEST_CASE("a sender that restarts is proven anew, and its former life is over") {
    Node b(2, {1});
    std::vector<Bytes> recorded;
    for (int life = 0; life < 5; ++life) {
        Node a(1, {2});
        for (const Bytes& hello : shake_hands(a, 1, b, 2)) {
            recorded.push_back(hello);
        }
        recorded.push_back(a.seal(payload_of(10)));
        const Bytes kept_back = a.seal(payload_of(10));
        CHECK(b.open(recorded.back())->what == Opened::What::Data);
        for (const Bytes& packet : recorded) {
            CHECK(b.drop_of(packet).has_value());
        }
        recorded.push_back(kept_back);
    }
    CHECK(b.drop_of(recorded.front()) == DropCause::StaleIncarnation);
}

TEST_CASE("an answer proves nothing a second time, even of a life that is long forgotten") {
    Node b(2, {1});
    std::vector<Bytes> recorded;
    for (int life = 0; life < 40; ++life) {
        Node a(1, {2});
        for (const Bytes& hello : shake_hands(a, 1, b, 2)) {
            recorded.push_back(hello);
        }
    }
    for (const Bytes& hello : recorded) {
        const Result opened = b.open(hello);
        CHECK((!opened || opened->what != Opened::What::Proven));
    }
}

TEST_CASE("a proven life stays in force while recordings of an older one come in") {
    Node older(1, {2});
    const Bytes recording = older.seal(payload_of(10));
    const Bytes recorded_hello = older.hello(2);
    Pair pair;
    CHECK(pair.b.open(recording)->what == Opened::What::Early);
    CHECK(pair.b.open(recorded_hello)->what == Opened::What::Hello);
    CHECK(pair.b.open(pair.a.seal(payload_of(10)))->what == Opened::What::Data);
    // The challenge that the recording provoked is answered by the present life, and stays so.
    shake_hands(pair.b, 2, pair.a, 1);
    CHECK(pair.b.open(pair.a.seal(payload_of(10)))->what == Opened::What::Data);
}

TEST_CASE("no two of a thousand lives share key and counter, and none repeats a counter") {
    std::set<std::pair<std::uint64_t, std::uint64_t>> used;
    std::set<std::uint64_t> lives;
    for (int life = 0; life < 1000; ++life) {
        Node a(1, {2});
        lives.insert(a.channel.incarnation());
        for (int i = 0; i < 20; ++i) {
            const auto header = transport::decode_header(a.seal(payload_of(1))).value();
            CHECK(used.emplace(header.incarnation, header.counter).second);
        }
    }
    CHECK(lives.size() == 1000);
}

TEST_CASE("two lives seal the same payload with different keys") {
    const ClusterKey key = key_of(7);
    const auto bytes_of = [&](Suite suite, std::uint32_t node, std::uint64_t life) {
        const auto sending = key.sending_key(suite, NodeId{node}, life);
        return Bytes(sending.key.bytes().begin(), sending.key.bytes().end());
    };
    const Bytes one = bytes_of(Suite::Aes256Gcm, 1, 5);
    CHECK(one == bytes_of(Suite::Aes256Gcm, 1, 5));
    CHECK(one != bytes_of(Suite::Aes256Gcm, 1, 6));
    CHECK(one != bytes_of(Suite::Aes256Gcm, 2, 5));
    CHECK(one != bytes_of(Suite::ChaCha20Poly1305, 1, 5));
    CHECK(key.id() != key_of(8).id());
    CHECK(ClusterKey::derive(Bytes(127)).error() == transport::KeyError::WrongLength);
    CHECK(ClusterKey::derive(Bytes(4097)).error() == transport::KeyError::WrongLength);
}

TEST_CASE("an obituary ends the life that sealed it, once, however late it is sent") {
    Pair pair;
    const Bytes obituary = pair.a.obituary();
    for (std::uint64_t i = 0; i < transport::ReplayWindow::kReplayWindow + 10; ++i) {
        (void)pair.a.seal(payload_of(1));
    }
    CHECK_FALSE(pair.b.drop_of(pair.a.seal(payload_of(1))).has_value());

    Bytes forged = obituary;
    forged.back() ^= std::byte{1};
    CHECK(pair.b.drop_of(forged) == DropCause::NotAuthentic);
    CHECK(pair.b.channel.is_proven(NodeId{1}));

    CHECK(pair.b.open(obituary)->what == Opened::What::Obituary);
    CHECK_FALSE(pair.b.channel.is_proven(NodeId{1}));
    CHECK(pair.b.drop_of(obituary) == DropCause::StaleIncarnation);
    CHECK(pair.b.drop_of(pair.a.seal(payload_of(1))) == DropCause::StaleIncarnation);

    Node again(1, {2});
    shake_hands(again, 1, pair.b, 2);
    CHECK(pair.b.drop_of(obituary) == DropCause::StaleIncarnation);
    CHECK(pair.b.channel.is_proven(NodeId{1}));
}

TEST_CASE("keys change while packets are on their way, without a handshake") {
    Pair pair;
    const Bytes before = pair.a.seal(payload_of(4));
    pair.b.channel.change_key(key_of(9));
    CHECK_FALSE(pair.b.drop_of(before).has_value());
    pair.a.channel.change_key(key_of(9));
    const Bytes after = pair.a.seal(payload_of(4));
    CHECK(pair.b.open(after)->what == Opened::What::Data);
    CHECK(pair.b.drop_of(after) == DropCause::Replayed);
    CHECK(pair.a.open(pair.b.seal(payload_of(4)))->what == Opened::What::Data);

    // Two changes later the first key is forgotten.
    pair.b.channel.change_key(key_of(10));
    Node old_key(1, {2});
    CHECK(pair.b.drop_of(old_key.seal(payload_of(4))) == DropCause::ForeignCluster);
}

TEST_CASE("a key that is accepted first opens what others seal, before we seal with it ourselves") {
    Pair pair;
    const auto suite = pair.a.channel.suite();
    pair.a.channel.accept_key(key_of(9), suite);
    pair.b.channel.accept_key(key_of(9), suite);
    CHECK(pair.b.open(pair.a.seal(payload_of(4)))->what == Opened::What::Data);
    pair.a.channel.seal_with(key_of(9), suite);
    CHECK(pair.b.open(pair.a.seal(payload_of(4)))->what == Opened::What::Data);
    CHECK(pair.a.open(pair.b.seal(payload_of(4)))->what == Opened::What::Data);
    pair.b.channel.seal_with(key_of(9), suite);
    CHECK(pair.a.channel.has_other_key());
    pair.a.channel.drop_other_key();
    CHECK(pair.a.open(pair.b.seal(payload_of(4)))->what == Opened::What::Data);
    Node old_key(2, {1});
    CHECK(pair.a.drop_of(old_key.seal(payload_of(4))) == DropCause::ForeignCluster);
}

TEST_CASE("what was accepted and not taken is dropped as if it had never been") {
    Pair pair;
    const auto suite = pair.a.channel.suite();
    pair.b.channel.accept_key(key_of(9), suite);
    pair.b.channel.drop_other_key();
    CHECK(pair.b.open(pair.a.seal(payload_of(4)))->what == Opened::What::Data);
    pair.a.channel.seal_with(key_of(9), suite);
    CHECK(pair.b.drop_of(pair.a.seal(payload_of(4))) == DropCause::ForeignCluster);
}

TEST_CASE("the suite changes like a key, under the same key") {
    Pair pair;
    const auto before = pair.a.channel.suite();
    const auto after = before == transport::Suite::Aes256Gcm ? transport::Suite::ChaCha20Poly1305
                                                             : transport::Suite::Aes256Gcm;
    pair.a.channel.seal_with(key_of(7), after);
    CHECK(pair.b.drop_of(pair.a.seal(payload_of(4))) == DropCause::OtherSuite);
    pair.b.channel.accept_key(key_of(7), after);
    CHECK(pair.b.open(pair.a.seal(payload_of(4)))->what == Opened::What::Data);
    CHECK(pair.b.channel.suite() == before);
    CHECK(pair.a.open(pair.b.seal(payload_of(4)))->what == Opened::What::Data);
}

TEST_CASE("peers that stay configured keep their state") {
    Pair pair;
    const NodeId more[] = {NodeId{1}, NodeId{3}};
    pair.b.channel.set_peers(more);
    CHECK(pair.b.open(pair.a.seal(payload_of(4)))->what == Opened::What::Data);
    const NodeId others[] = {NodeId{3}};
    pair.b.channel.set_peers(others);
    CHECK(pair.b.drop_of(pair.a.seal(payload_of(4))) == DropCause::UnknownSender);
}
