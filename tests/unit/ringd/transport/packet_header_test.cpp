// The bytes on the wire, as docs/wire-format-transport.md lays them out.
#include "ringd/transport/packet_header.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "ringd/transport/crc32c.hpp"
#include "ringd/transport/secure_channel.hpp"
#include "ringd/transport/socket_address.hpp"

using base::NodeId;
using transport::DropCause;
using transport::PacketHeader;
using transport::PacketKind;
using transport::Suite;

namespace {

using Bytes = std::vector<std::byte>;

Bytes from_hex(const std::string& hex) {
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<std::byte>(std::stoul(hex.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

// The example of the document, made by an independent program: a hello of node 1 for node 2 in the
// suite none, under a key of 128 bytes 7.
Bytes documented_hello() {
    return from_hex(
        "484c0102680d2448"
        "01000000ff002800"
        "4d00000000000000"
        "0900000000000000"
        "0200000001000000"
        "0102030405060708090a0b0c0d0e0f10"
        "00000000000000000000000000000000"
        "9be889e9000000000000000000000000");
}

}  // namespace

TEST_CASE("the documented packet is understood, and made") {
    const Bytes packet = documented_hello();
    const auto header = transport::decode_header(packet);
    REQUIRE(header.has_value());
    CHECK(header->suite == Suite::None);
    CHECK(header->kind == PacketKind::Hello);
    CHECK(header->sender == NodeId{1});
    CHECK(header->link == transport::kAnyLink);
    CHECK(header->payload_bytes == transport::kHelloBytes);
    CHECK(header->incarnation == 0x4d);
    CHECK(header->counter == 9);
    std::array<std::byte, transport::kHeaderBytes> again{};
    transport::encode_header(*header, again);
    CHECK(std::equal(again.begin(), again.end(), packet.begin()));

    // The channel finds key id and checksum right, so both are what the document says.
    const auto key =
        transport::ClusterKey::derive(Bytes(transport::kKeyBytesMin, std::byte{7})).value();
    CHECK(key.id() == header->key_id);
    transport::SecureChannel channel(NodeId{2}, Suite::None, key, 5, 5);
    const NodeId peers[] = {NodeId{1}};
    channel.set_peers(peers);
    Bytes out(packet.size());
    const auto inspected = channel.inspect(packet);
    REQUIRE(inspected.has_value());
    const auto opened = channel.open(*inspected, 0, packet, out);
    REQUIRE(opened.has_value());
    CHECK(opened->what == transport::Opened::What::Hello);
    CHECK(opened->say_hello);
}

TEST_CASE("a sending key is HKDF's, as the document derives it") {
    // Computed by an independent implementation of RFC 5869.
    const auto key =
        transport::ClusterKey::derive(Bytes(transport::kKeyBytesMin, std::byte{7})).value();
    const auto sending = key.sending_key(Suite::Aes256Gcm, NodeId{1}, 77);
    const Bytes expected_key =
        from_hex("e22c8fc08ad3f4e49bf09d3a974d2a1dfb8e5f056d8353a5ecd49cdf5506dd3c");
    const Bytes expected_nonce = from_hex("487f9389f3d25bef277d5339");
    CHECK(std::ranges::equal(sending.key.bytes(), expected_key));
    CHECK(std::ranges::equal(sending.nonce_base.bytes(), expected_nonce));
}

TEST_CASE("a header that breaks a rule is refused") {
    const auto with_byte = [](std::size_t at, std::uint8_t value) {
        Bytes packet = documented_hello();
        packet.at(at) = std::byte{value};
        return transport::decode_header(packet);
    };
    CHECK(with_byte(0, 0).error() == DropCause::NotOurs);
    CHECK(with_byte(2, 2).error() == DropCause::NotOurs);      // Wire version.
    CHECK(with_byte(3, 0x32).error() == DropCause::NotOurs);   // Suite 3.
    CHECK(with_byte(3, 0x00).error() == DropCause::NotOurs);   // Kind 0.
    CHECK(with_byte(3, 0x05).error() == DropCause::NotOurs);   // Kind 5.
    CHECK(with_byte(8, 0).error() == DropCause::NotOurs);      // No sender.
    CHECK(with_byte(13, 1).error() == DropCause::NotOurs);     // Reserved.
    CHECK(with_byte(14, 41).error() == DropCause::Truncated);  // More payload than there is.
    CHECK(with_byte(14, 39).has_value());                      // One byte of padding.
}

TEST_CASE("the checksum is CRC-32C, in any pieces") {
    const Bytes check = from_hex("313233343536373839");  // "123456789"
    CHECK(transport::crc32c(0, check) == 0xe3069283u);
    // RFC 3720 appendix B.4.
    CHECK(transport::crc32c(0, Bytes(32, std::byte{0})) == 0x8a9136aau);
    CHECK(transport::crc32c(0, Bytes(32, std::byte{0xff})) == 0x62a8ab43u);
    for (std::size_t cut = 0; cut <= check.size(); ++cut) {
        CHECK(transport::crc32c(transport::crc32c(0, std::span(check).first(cut)),
                                std::span(check).subspan(cut)) == 0xe3069283u);
    }
}

TEST_CASE("addresses are numeric, and compare by host or by host and port") {
    using transport::SocketAddress;
    const auto v4 = SocketAddress::parse("192.0.2.1", 5405);
    const auto v6 = SocketAddress::parse("2001:db8::1", 5405);
    REQUIRE(v4.has_value());
    REQUIRE(v6.has_value());
    CHECK(v4->text() == "192.0.2.1:5405");
    CHECK(v6->text() == "[2001:db8::1]:5405");
    CHECK_FALSE(SocketAddress::parse("localhost", 1).has_value());
    CHECK_FALSE(SocketAddress::parse("", 1).has_value());
    CHECK(v4->same_host(v4->with_port(1)));
    CHECK_FALSE(*v4 == v4->with_port(1));
    CHECK_FALSE(*v4 == *v6);
    CHECK_FALSE(v4->is_multicast());
    CHECK(SocketAddress::parse("239.1.2.3", 1)->is_multicast());
    CHECK(SocketAddress::parse("ff02::1", 1)->is_multicast());
}
