// One socket to another on the loopback interface: bursts, their limits, and ICMP's answers.
#include "ringd/transport/udp_socket.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>
#include <chrono>

#include "common/os/clock.hpp"
#include "ringd/transport/link_watch.hpp"
#include "ringd/transport/obituary.hpp"
#include "tests/unit/ringd/transport/network_namespace.hpp"

using transport::Arrived;
using transport::Burst;
using transport::SocketAddress;
using transport::UdpSocket;
using transport::UdpSocketConfig;

namespace {

using Bytes = std::vector<std::byte>;
constexpr auto kPatience = std::chrono::seconds(10);

UdpSocket open_socket(const std::string& host) {
    auto socket = UdpSocket::open({.address = SocketAddress::parse(host, 0).value(),
                                   .multicast = std::nullopt,
                                   .dscp = 46,
                                   .buffer_bytes = 1u << 20u});
    REQUIRE_MESSAGE(socket.has_value(), socket.error().text());
    return std::move(*socket);
}

Bytes pattern(std::size_t size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
    }
    return bytes;
}

// Reads packets until there are `count`, or patience ends.
std::vector<Bytes> read_packets(UdpSocket& socket, std::size_t count, const SocketAddress& from) {
    std::vector<Bytes> packets;
    const base::Instant end = os::now() + kPatience;
    while (packets.size() < count && os::now() < end) {
        pollfd wait{.fd = socket.fd(), .events = POLLIN, .revents = 0};
        (void)::poll(&wait, 1, 1000);
        (void)socket.receive(4, [&](const Arrived& arrived) {
            CHECK(arrived.from == from);
            for (std::size_t at = 0; at < arrived.bytes.size(); at += arrived.segment_bytes) {
                const auto part = arrived.bytes.subspan(
                    at, std::min(arrived.segment_bytes, arrived.bytes.size() - at));
                packets.emplace_back(part.begin(), part.end());
            }
        });
    }
    return packets;
}

}  // namespace

TEST_CASE("segments of a burst arrive whole and in order, whatever their number and size") {
    for (const std::string host : {"127.0.0.1", "::1"}) {
        if (!UdpSocket::open({.address = *SocketAddress::parse(host, 0),
                              .multicast = std::nullopt,
                              .dscp = 0,
                              .buffer_bytes = 4096})) {
            MESSAGE("no IPv6 here: skipped");
            continue;
        }
        UdpSocket a = open_socket(host);
        UdpSocket b = open_socket(host);
        const SocketAddress to = b.address();
        for (const std::size_t segment : {std::size_t{1}, std::size_t{100}, std::size_t{1400}}) {
            const std::size_t most =
                std::min(segment * transport::kSegmentsMax, transport::kBurstBytesMax);
            for (const std::size_t total : {segment, segment + 1, most - most % segment, most}) {
                const Bytes bytes = pattern(total);
                const Burst burst{.to = &to, .bytes = bytes, .segment_bytes = segment};
                const auto before = a.counters().system_calls_sent;
                a.send(std::span(&burst, 1));
                if (a.has_segmentation()) CHECK(a.counters().system_calls_sent == before + 1);
                const std::size_t count = (total + segment - 1) / segment;
                const auto packets = read_packets(b, count, a.address());
                REQUIRE(packets.size() == count);
                for (std::size_t i = 0; i < count; ++i) {
                    CHECK(std::equal(packets[i].begin(), packets[i].end(),
                                     bytes.begin() + static_cast<std::ptrdiff_t>(i * segment)));
                }
            }
        }
        CHECK(a.counters().not_sent == 0);
    }
}

TEST_CASE("many bursts to several receivers leave with one system call for sixteen") {
    UdpSocket a = open_socket("127.0.0.1");
    UdpSocket b = open_socket("127.0.0.1");
    UdpSocket c = open_socket("127.0.0.1");
    const SocketAddress to_b = b.address();
    const SocketAddress to_c = c.address();
    const Bytes bytes = pattern(3000);
    std::vector<Burst> bursts;
    for (int i = 0; i < 16; ++i) {
        bursts.push_back({.to = i % 2 == 0 ? &to_b : &to_c, .bytes = bytes, .segment_bytes = 1000});
    }
    const auto before = a.counters().system_calls_sent;
    a.send(bursts);
    CHECK(a.counters().system_calls_sent - before == 1);
    CHECK(read_packets(b, 24, a.address()).size() == 24);
    CHECK(read_packets(c, 24, a.address()).size() == 24);
}

TEST_CASE("a packet above the MTU is given up and counted, and never cut; the rest leaves") {
    const bool ran = in_network_namespace([](LoopbackInterface& loopback) {
        CHECK(loopback.set_mtu(1500));
        UdpSocket a = open_socket("127.0.0.1");
        UdpSocket b = open_socket("127.0.0.1");
        const SocketAddress to = b.address();
        CHECK(a.path_mtu(to) == 1500);
        const Bytes bytes = pattern(5000);
        const Burst bursts[] = {
            {.to = &to, .bytes = std::span(bytes).first(100), .segment_bytes = 100},
            {.to = &to, .bytes = std::span(bytes).first(1473), .segment_bytes = 1473},
            {.to = &to, .bytes = std::span(bytes).first(3200), .segment_bytes = 1600},
            {.to = &to, .bytes = std::span(bytes).first(2 * 1472), .segment_bytes = 1472}};
        a.send(bursts);
        CHECK(a.counters().too_large == 3);
        CHECK(a.counters().not_sent == 3);
        const auto packets = read_packets(b, 3, a.address());
        CHECK(packets.size() == 3);
        if (packets.size() == 3) CHECK(packets.back().size() == 1472);
        bool told = false;
        a.read_errors([&](const transport::PathError& error) {
            told |= error.kind == transport::PathError::Kind::TooLarge && error.mtu == 1500;
        });
        CHECK(told);
    });
    if (!ran) MESSAGE("no right to make a network namespace: skipped");
}

TEST_CASE("nobody at a port is told by the error queue, and costs no later packet") {
    UdpSocket a = open_socket("127.0.0.1");
    UdpSocket b = open_socket("127.0.0.1");
    const SocketAddress to_b = b.address();
    SocketAddress closed;
    {
        const UdpSocket gone = open_socket("127.0.0.1");
        closed = gone.address();
    }
    const Bytes bytes = pattern(100);
    for (int i = 0; i < 10; ++i) {
        const Burst bursts[] = {{.to = &closed, .bytes = bytes, .segment_bytes = 100},
                                {.to = &to_b, .bytes = bytes, .segment_bytes = 100}};
        a.send(bursts);
    }
    int unreachable = 0;
    const base::Instant end = os::now() + kPatience;
    while (unreachable == 0 && os::now() < end) {
        a.read_errors([&](const transport::PathError& error) {
            CHECK(error.kind == transport::PathError::Kind::PortUnreachable);
            CHECK(error.to == closed);
            ++unreachable;
        });
    }
    CHECK(unreachable > 0);
    CHECK(read_packets(b, 10, a.address()).size() == 10);
    CHECK(a.counters().not_sent == 0);
}

TEST_CASE("buffers are as large as the kernel allows, and it tells how large") {
    const UdpSocket socket = open_socket("127.0.0.1");
    CHECK(socket.receive_buffer_bytes() > 0);
    CHECK(socket.send_buffer_bytes() > 0);
    CHECK(socket.receive_buffer_bytes() <= 1u << 20u);
}

TEST_CASE("a socket that somebody else bound is taken over") {
    os::UniqueFd bound(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    const SocketAddress any = SocketAddress::parse("127.0.0.1", 0).value();
    REQUIRE(::bind(bound.get(), any.data(), any.size()) == 0);
    auto a = UdpSocket::adopt(
        std::move(bound),
        {.address = any, .multicast = std::nullopt, .dscp = 0, .buffer_bytes = 1u << 20u});
    REQUIRE(a.has_value());
    UdpSocket b = open_socket("127.0.0.1");
    const SocketAddress to = a->address();
    const Bytes bytes = pattern(3000);
    const Burst burst{.to = &to, .bytes = bytes, .segment_bytes = 1000};
    b.send(std::span(&burst, 1));
    CHECK(read_packets(*a, 3, b.address()).size() == 3);
}

TEST_CASE("an address of ours is usable, one that no interface has is not") {
    const std::vector<SocketAddress> addresses{SocketAddress::parse("127.0.0.1", 0).value(),
                                               SocketAddress::parse("192.0.2.77", 0).value()};
    const auto usable = transport::LinkWatch::are_usable(addresses);
    REQUIRE(usable.has_value());
    CHECK(*usable == std::vector<bool>{true, false});
    // And it can be bound before it is there.
    CHECK(UdpSocket::open({.address = addresses[1].with_port(0),
                           .multicast = std::nullopt,
                           .dscp = 0,
                           .buffer_bytes = 4096})
              .has_value());
}

TEST_CASE("an obituary survives the file, and damaged ones are none") {
    transport::Obituary obituary;
    obituary.packet = pattern(48);
    obituary.paths = {{.from = *SocketAddress::parse("192.0.2.1", 5405),
                       .to = *SocketAddress::parse("192.0.2.2", 5406)},
                      {.from = *SocketAddress::parse("2001:db8::1", 5405),
                       .to = *SocketAddress::parse("2001:db8::2", 5405)}};
    const Bytes bytes = transport::encode_obituary(obituary);
    CHECK(transport::decode_obituary(bytes) == obituary);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        CHECK_FALSE(transport::decode_obituary(std::span(bytes).first(length)).has_value());
    }
    Bytes longer = bytes;
    longer.push_back(std::byte{0});
    CHECK_FALSE(transport::decode_obituary(longer).has_value());
}
