// The codecs of membership: heartbeat, join, commit token, token of recovery, notices and parts.
#include "ringd/totem/commit_token.hpp"
#include "ringd/totem/heartbeat.hpp"
#include "ringd/totem/join_message.hpp"
#include "ringd/totem/notices.hpp"
#include "ringd/totem/parts.hpp"
#include "ringd/totem/recovery_token.hpp"
#include "tests/unit/ringd/totem/codec_checks.hpp"

namespace {

using base::NodeId;
using totem::NodeSet;
using totem::Seq;
using totem::WireError;

const base::RingId kRing{.seq = 7, .representative = NodeId{1}};
const base::RingId kOldRing{.seq = 3, .representative = NodeId{2}};

totem::Row row(std::uint32_t node, NodeSet hears) {
    return {.node = NodeId{node},
            .incarnation = {.ring_seq = 4, .started_ns = 11},
            .version = 5,
            .hears = std::move(hears)};
}

totem::Heartbeat sample_heartbeat() {
    return {.reply_wanted = true,
            .promise = 93,
            .ring = kRing,
            .row = row(2, {NodeId{1}, NodeId{2}, NodeId{64}, NodeId{500}}),
            .sent_ns = 1000,
            .echo_ns = 900,
            .echo_age_ns = 50};
}

totem::JoinMessage sample_join() {
    const NodeSet all{NodeId{1}, NodeId{2}, NodeId{3}};
    return {.gathering = true,
            .ring = kOldRing,
            .ring_seq_max = 6,
            .proposal = all,
            .rows = {row(2, all), row(1, all), row(3, {NodeId{2}, NodeId{3}})}};
}

totem::CommitToken sample_commit_token() {
    totem::CommitEntry entry{.old_ring = kOldRing,
                             .holdings = {.aru = Seq{10}, .high = Seq{20}, .held = {}},
                             .safe_line = Seq{8},
                             .packet_bytes_max = 1400,
                             .features = 1,
                             .obliged_to = {NodeId{1}, NodeId{3}}};
    entry.holdings.held.resize(totem::Holdings::bitmap_bytes(Seq{10}, Seq{20}));
    entry.holdings.set(Seq{12});
    entry.holdings.set(Seq{20});
    return {.ring = kRing,
            .hop = 2,
            .members = {NodeId{1}, NodeId{2}, NodeId{3}},
            .entries = {entry, totem::CommitEntry{}}};
}

totem::RecoveryToken sample_recovery_token() {
    return {.ring = kRing,
            .token_seq = totem::TokenSeq{4},
            .complete_hops = 1,
            .requests = {{.old_ring = kOldRing, .range = {.first = Seq{3}, .last = Seq{5}}}}};
}

}  // namespace

TEST_CASE("a heartbeat survives the wire, and damage is told") {
    const auto decode = [](const Bytes& bytes) { return totem::decode_heartbeat(bytes); };
    const base::Buffer packet = totem::encode_heartbeat(sample_heartbeat());
    CHECK(decode(bytes_of(packet)).value() == sample_heartbeat());
    check_damage(packet, decode, totem::encode_heartbeat);
}

TEST_CASE("a node that does not hear itself is no row") {
    Bytes packet = bytes_of(totem::encode_heartbeat(sample_heartbeat()));
    CHECK(totem::decode_heartbeat(with_byte(packet, 16, 3)).error() == WireError::OutOfRange);
}

TEST_CASE("a join survives the wire, and damage is told") {
    const auto decode = [](const Bytes& bytes) { return totem::decode_join(bytes); };
    const base::Buffer packet = totem::encode_join(sample_join());
    CHECK(decode(bytes_of(packet)).value() == sample_join());
    check_damage(packet, decode, totem::encode_join);
}

TEST_CASE("rows with one set share it: 512 nodes that hear each other fit 16 KiB") {
    NodeSet all;
    for (std::uint32_t node = 1; node <= totem::kNodesMax; ++node)
        all.insert(NodeId{node});
    totem::JoinMessage join{.gathering = true, .ring_seq_max = 1, .proposal = all, .rows = {}};
    for (const NodeId node : all)
        join.rows.push_back(row(node.value(), all));
    const base::Buffer packet = totem::encode_join(join);
    CHECK(packet.size() < std::size_t{16} << 10u);
    CHECK(totem::decode_join(packet.bytes()).value() == join);
}

TEST_CASE("a commit token survives the wire, and damage is told") {
    const auto decode = [](const Bytes& bytes) { return totem::decode_commit_token(bytes); };
    const base::Buffer packet = totem::encode_commit_token(sample_commit_token());
    CHECK(decode(bytes_of(packet)).value() == sample_commit_token());
    check_damage(packet, decode, totem::encode_commit_token);
}

TEST_CASE("holdings have one form") {
    totem::Holdings holdings{.aru = Seq{4}, .high = Seq{6}, .held = {std::byte{0b10}}};
    CHECK(holdings.is_canonical());
    CHECK(holdings.has(Seq{4}));
    CHECK_FALSE(holdings.has(Seq{5}));
    CHECK(holdings.has(Seq{6}));
    CHECK_FALSE(holdings.has(Seq{7}));
    holdings.held = {std::byte{0b11}};  // aru could be higher.
    CHECK_FALSE(holdings.is_canonical());
    holdings.held = {std::byte{0b110}};  // Beyond high.
    CHECK_FALSE(holdings.is_canonical());
    holdings.held = {std::byte{0}};  // high is not held.
    CHECK_FALSE(holdings.is_canonical());
}

TEST_CASE("a token of recovery survives the wire, and damage is told") {
    const auto decode = [](const Bytes& bytes) { return totem::decode_recovery_token(bytes); };
    const base::Buffer packet = totem::encode_recovery_token(sample_recovery_token());
    CHECK(decode(bytes_of(packet)).value() == sample_recovery_token());
    check_damage(packet, decode, totem::encode_recovery_token);
}

TEST_CASE("notices survive the wire, and damage is told") {
    const totem::TokenRequest request{.ring = kRing, .token_seq = totem::TokenSeq{3}};
    const totem::TokenSeen seen{.ring = kRing, .token_seq = totem::TokenSeq{3}};
    const totem::Leave leave{.incarnation = {.ring_seq = 4, .started_ns = 77}};
    const auto decode_request = [](const Bytes& b) { return totem::decode_token_request(b); };
    const auto decode_seen = [](const Bytes& b) { return totem::decode_token_seen(b); };
    const auto decode_leave = [](const Bytes& b) { return totem::decode_leave(b); };
    CHECK(decode_request(bytes_of(totem::encode_token_request(request))).value() == request);
    CHECK(decode_seen(bytes_of(totem::encode_token_seen(seen))).value() == seen);
    CHECK(decode_leave(bytes_of(totem::encode_leave(leave))).value() == leave);
    check_damage(totem::encode_token_request(request), decode_request, totem::encode_token_request);
    check_damage(totem::encode_token_seen(seen), decode_seen, totem::encode_token_seen);
    check_damage(totem::encode_leave(leave), decode_leave, totem::encode_leave);
}

TEST_CASE("a large message comes out of its parts in any order, and once") {
    Bytes bytes(5000);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(i * 7);
    std::vector<base::Buffer> packets;
    totem::split_into_parts(base::Buffer::copy_of(bytes), 9, 1200, packets);
    REQUIRE(packets.size() == 5);
    std::ranges::reverse(packets);

    totem::PartAssembly assembly;
    for (std::size_t i = 0; i < packets.size(); ++i) {
        CHECK(packets[i].size() <= 1200);
        const auto part = totem::decode_part(packets[i]);
        REQUIRE(part.has_value());
        const auto whole = assembly.add(*part);
        CHECK(whole.has_value() == (i + 1 == packets.size()));
        if (whole) CHECK(bytes_of(*whole) == bytes);
        if (!whole) CHECK_FALSE(assembly.add(*part).has_value());  // Twice is once.
    }
}

TEST_CASE("a part of another message ends the one that was under way") {
    std::vector<base::Buffer> old_parts;
    std::vector<base::Buffer> new_parts;
    totem::split_into_parts(base::Buffer::copy_of(Bytes(2000, std::byte{1})), 1, 1200, old_parts);
    totem::split_into_parts(base::Buffer::copy_of(Bytes(2000, std::byte{2})), 2, 1200, new_parts);
    totem::PartAssembly assembly;
    CHECK_FALSE(assembly.add(*totem::decode_part(old_parts[0])).has_value());
    CHECK_FALSE(assembly.add(*totem::decode_part(new_parts[0])).has_value());
    const auto whole = assembly.add(*totem::decode_part(new_parts[1]));
    REQUIRE(whole.has_value());
    CHECK(bytes_of(*whole) == Bytes(2000, std::byte{2}));
}

TEST_CASE("what fits a packet travels as it is") {
    std::vector<base::Buffer> packets;
    totem::split_into_parts(base::Buffer::copy_of(Bytes(1200)), 1, 1200, packets);
    REQUIRE(packets.size() == 1);
    CHECK(packets[0].size() == 1200);
}
