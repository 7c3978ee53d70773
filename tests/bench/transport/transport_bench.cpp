// What a packet costs: sealing and opening it in memory, and sending it through a transport to
// another one over the loopback interface. Prints nanoseconds a packet and packets a second.
#include <poll.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <variant>
#include <vector>

#include "common/base/invariant.hpp"
#include "common/os/clock.hpp"
#include "ringd/transport/network_transport.hpp"

using base::NodeId;
using transport::ClusterKey;
using transport::kOverheadBytes;
using transport::SecureChannel;
using transport::Suite;

namespace {

using Bytes = std::vector<std::byte>;

double cpu_seconds() {
    timespec time{};
    (void)::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

ClusterKey bench_key() {
    return ClusterKey::derive(Bytes(256, std::byte{42})).value();
}

const char* name_of(Suite suite) {
    switch (suite) {
        case Suite::None:
            return "none";
        case Suite::Aes256Gcm:
            return "aes256-gcm";
        case Suite::ChaCha20Poly1305:
            return "chacha20-poly1305";
    }
    return "";
}

struct Node {
    Node(std::uint32_t self, std::uint32_t peer, Suite suite)
        : channel(NodeId{self}, suite, bench_key(), SecureChannel::new_incarnation(),
                  SecureChannel::random_counter()) {
        const NodeId peers[] = {NodeId{peer}};
        channel.set_peers(peers);
    }
    SecureChannel channel;
};

void say_hello(Node& from, Node& to, std::uint32_t to_id) {
    Bytes hello(transport::kHelloBytes + kOverheadBytes);
    from.channel.seal_hello(NodeId{to_id}, transport::kAnyLink, hello);
    Bytes out(transport::kHelloBytes);
    INVARIANT(to.channel.open(*to.channel.inspect(hello), 0, hello, out).has_value());
}

// As a burst does it: `count` packets in one piece of memory that stays in the cache.
void bench_channel(Suite suite, std::size_t payload_bytes) {
    constexpr std::size_t kCount = 46;
    constexpr int kRounds = 4000;
    Node a(1, 2, suite);
    Node b(2, 1, suite);
    say_hello(b, a, 1);
    say_hello(a, b, 2);
    INVARIANT(b.channel.is_proven(NodeId{1}));

    const Bytes payload(payload_bytes, std::byte{1});
    const std::size_t segment = payload_bytes + kOverheadBytes;
    Bytes sealed(segment * kCount);
    Bytes opened(segment * kCount);
    double seal_seconds = 0;
    double open_seconds = 0;
    for (int round = 0; round < kRounds; ++round) {
        const double start = cpu_seconds();
        for (std::size_t i = 0; i < kCount; ++i) {
            a.channel.seal(transport::kAnyLink, payload,
                           std::span(sealed).subspan(i * segment, segment));
        }
        const double middle = cpu_seconds();
        for (std::size_t i = 0; i < kCount; ++i) {
            const auto packet = std::span(sealed).subspan(i * segment, segment);
            const auto header = b.channel.inspect(packet);
            INVARIANT(header.has_value());
            INVARIANT(b.channel.open(*header, 0, packet, std::span(opened).subspan(i * segment))
                          .has_value());
        }
        seal_seconds += middle - start;
        open_seconds += cpu_seconds() - middle;
    }
    constexpr double kPackets = static_cast<double>(kCount) * kRounds;
    std::printf("%-18s %5zu B  seal %7.0f ns (%5.2f GB/s)  open %7.0f ns (%5.2f GB/s)\n",
                name_of(suite), payload_bytes, seal_seconds / kPackets * 1e9,
                static_cast<double>(payload_bytes) * kPackets / seal_seconds / 1e9,
                open_seconds / kPackets * 1e9,
                static_cast<double>(payload_bytes) * kPackets / open_seconds / 1e9);
}

std::size_t count_packets(const std::vector<totem::Event>& events) {
    std::size_t packets = 0;
    for (const totem::Event& event : events) {
        if (std::holds_alternative<totem::PacketArrived>(event)) ++packets;
        if (const auto* several = std::get_if<totem::PacketsArrived>(&event))
            packets += several->lengths.size();
    }
    return packets;
}

// Sender and receiver in one thread: the figure is the sum of both sides' work.
void bench_loopback(Suite suite, std::size_t payload_bytes, std::size_t nearly) {
    const auto address = [](std::uint16_t port) {
        return *transport::SocketAddress::parse("127.0.0.1", port);
    };
    const auto make = [&](std::uint32_t self, std::uint32_t peer) {
        transport::NetworkConfig config;
        config.self = NodeId{self};
        config.suite = suite;
        transport::LinkConfig link;
        link.address = address(static_cast<std::uint16_t>(15400 + self));
        link.mtu_max = payload_bytes + kOverheadBytes + 28;
        config.links.push_back(link);
        config.peers.push_back(
            {.node = NodeId{peer},
             .addresses = {{totem::LinkId{0}, address(static_cast<std::uint16_t>(15400 + peer))}}});
        auto made = transport::NetworkTransport::create(config, bench_key(), os::now());
        if (!made) {
            std::fprintf(stderr, "%s\n", made.error().text().c_str());
            std::exit(1);
        }
        return std::move(*made);
    };
    const auto a = make(1, 2);
    const auto b = make(2, 1);
    std::vector<totem::Event> events;
    const base::Instant end = os::now() + std::chrono::seconds(5);
    while ((!b->is_proven(NodeId{1}) || !a->is_proven(NodeId{2})) && os::now() < end) {
        a->pass_deadline(os::now(), events);
        b->pass_deadline(os::now(), events);
        (void)a->receive(os::now(), events);
        (void)b->receive(os::now(), events);
    }

    constexpr int kRounds = 2000;
    constexpr std::size_t kCount = 138;
    std::vector<base::Buffer> packets;
    for (std::size_t i = 0; i < kCount; ++i) {
        const Bytes payload(payload_bytes - (nearly != 0 ? i % nearly : 0), std::byte{1});
        packets.push_back(base::Buffer::copy_of(payload));
    }
    std::size_t arrived = 0;
    double send_cpu = 0;
    const double start = cpu_seconds();
    for (int round = 0; round < kRounds; ++round) {
        const double before = cpu_seconds();
        for (const base::Buffer& packet : packets) {
            a->queue(totem::SendTo{.to = NodeId{2}, .link = {}, .packet = packet});
        }
        a->flush();
        send_cpu += cpu_seconds() - before;
        events.clear();
        while (b->receive(os::now(), events)) {
        }
        arrived += count_packets(events);
    }
    const double seconds = cpu_seconds() - start;
    const auto counters = a->link_counters(totem::LinkId{0});
    std::printf(
        "%-18s %5zu B  loopback %7.0f ns a packet (send %.0f, receive %.0f), %.2f M packets/s, "
        "%.2f GB/s, %zu of %zu arrived, %.1f packets a system call\n",
        name_of(suite), payload_bytes, seconds / static_cast<double>(arrived) * 1e9,
        send_cpu / static_cast<double>(arrived) * 1e9,
        (seconds - send_cpu) / static_cast<double>(arrived) * 1e9,
        static_cast<double>(arrived) / seconds / 1e6,
        static_cast<double>(arrived * payload_bytes) / seconds / 1e9, arrived, kRounds * kCount,
        static_cast<double>(counters.packets_sent) /
            static_cast<double>(counters.system_calls_sent));
}

}  // namespace

int main() {
    for (const Suite suite : {Suite::None, Suite::Aes256Gcm, Suite::ChaCha20Poly1305}) {
        for (const std::size_t bytes : {std::size_t{64}, std::size_t{1400}, std::size_t{8900}}) {
            bench_channel(suite, bytes);
        }
    }
    for (const Suite suite : {Suite::None, Suite::Aes256Gcm}) {
        bench_loopback(suite, 1400, 0);
        bench_loopback(suite, 1400, 60);
        bench_loopback(suite, 8900, 0);
    }
    return 0;
}
