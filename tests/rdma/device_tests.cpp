// Links over real verbs on devices in software; run in the machine of tests/rdma/vm.py by
// device_tests.py, which makes three hosts with a device each. HALO_RDMA_ADDRESSES names theirs.
#include <doctest/doctest.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <iterator>
#include <optional>
#include <sstream>

#include "common/os/clock.hpp"
#include "ringd/transport/rdma/rdma_link.hpp"
#include "tests/rdma/copies.hpp"

using totem::LinkId;
using transport::Burst;
using transport::LinkCounters;
using transport::NetworkLink;
using transport::RdmaDevice;
using transport::RdmaLink;
using transport::SendMemory;
using transport::SocketAddress;

namespace {

// An emulated processor, and perhaps a busy one.
constexpr auto kPatience = std::chrono::seconds(300);
constexpr std::uint16_t kPort = 5405;

SocketAddress address_of(std::size_t host, std::uint16_t port = kPort) {
    const char* list = std::getenv("HALO_RDMA_ADDRESSES");
    REQUIRE(list != nullptr);
    std::istringstream words(list);
    std::string word;
    for (std::size_t i = 0; i < host; ++i) {
        words >> word;
    }
    const auto address = SocketAddress::parse(word, port);
    REQUIRE(address.has_value());
    return *address;
}

SocketAddress group_address() {
    return *SocketAddress::parse("239.192.7.7", kPort);
}

int run(const std::string& command) {
    return std::system(command.c_str());
}

// What the kernel's drivers hold for us: how many queue pairs, memory regions, … on each device.
std::string held_by_drivers() {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen("rdma resource show", "r"), ::pclose);
    REQUIRE(pipe != nullptr);
    std::string text;
    std::array<char, 256> line{};
    while (std::fgets(line.data(), line.size(), pipe.get()) != nullptr) {
        text += line.data();
    }
    return text;
}

struct Received {
    std::string text;
    std::uint32_t endpoint = 0;
};

// A link with its memory, driven by hand.
struct End {
    SendMemory memory{std::size_t{1} << 20u};
    std::unique_ptr<NetworkLink> link;
    std::vector<Received> received;

    explicit End(std::size_t host, std::size_t receives = 256, bool with_group = true,
                 std::uint16_t port = kPort) {
        auto opened =
            RdmaLink::open({.link = LinkId{0},
                            .address = address_of(host, port),
                            .group = with_group ? std::optional(group_address()) : std::nullopt,
                            .receives = receives,
                            .memory = &memory});
        REQUIRE(opened.has_value());
        link = std::move(*opened);
        link->start(os::now());
    }
    [[nodiscard]] RdmaLink& rdma() const { return static_cast<RdmaLink&>(*link); }
    [[nodiscard]] LinkCounters counters() const {
        LinkCounters counters;
        link->add_counters(counters);
        return counters;
    }
    [[nodiscard]] transport::RdmaCounters device() const { return counters().rdma.value(); }

    void turn() {
        const auto now = os::now();
        if (now >= link->next_deadline()) link->pass_deadline(now);
        const copies::Counted counted;
        (void)link->receive(4, [this](const transport::Arrived& arrived) {
            --copies::Counted::depth;  // What the test does with it is not the link's.
            const auto* text = reinterpret_cast<const char*>(arrived.bytes.data());
            received.push_back(
                {.text = std::string(text, arrived.bytes.size()), .endpoint = arrived.endpoint});
            ++copies::Counted::depth;
        });
    }
    void send(const SocketAddress* to, const std::string& text) {
        send(to, std::vector<std::string>{text});
    }
    // All of one size, in one burst.
    void send(const SocketAddress* to, const std::vector<std::string>& texts) {
        const std::size_t size = texts.front().size();
        const auto piece = memory.take(size * texts.size());
        REQUIRE(piece.has_value());
        for (std::size_t i = 0; i < texts.size(); ++i) {
            std::memcpy(piece->bytes.data() + i * size, texts[i].data(), size);
        }
        const Burst burst{
            .to = to, .bytes = piece->bytes, .segment_bytes = size, .end = piece->end};
        {
            const copies::Counted counted;
            link->send(std::span(&burst, 1));
        }
        const auto held = link->held_from();
        held ? memory.release(*held) : memory.release_all();
    }
    [[nodiscard]] bool got(const std::string& text) const {
        return std::ranges::any_of(received,
                                   [&](const Received& each) { return each.text == text; });
    }
};

template <class Condition>
bool wait_for(std::initializer_list<End*> ends, Condition condition) {
    const auto until = os::now() + kPatience;
    while (!condition()) {
        if (os::now() > until) return false;
        for (End* end : ends) {
            end->turn();
        }
    }
    return true;
}

// Sends until it arrives: at first the peer's queue pair is not known.
bool reaches(End& from, const SocketAddress& to, End& at, const std::string& text) {
    auto next = os::now();
    return wait_for({&from, &at}, [&] {
        if (os::now() >= next) {
            from.send(&to, text);
            next = os::now() + std::chrono::milliseconds(20);
        }
        return at.got(text);
    });
}

struct Pair {
    SocketAddress one = address_of(1);
    SocketAddress two = address_of(2);
    End a{1};
    End b{2};

    Pair() {
        a.link->set_peers(std::span(&two, 1));
        b.link->set_peers(std::span(&one, 1));
    }
};

}  // namespace

TEST_CASE("two links find each other and exchange datagrams of all sizes in order") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    REQUIRE(reaches(pair.b, pair.one, pair.a, "hello yourself"));
    const std::size_t most = pair.a.device().packet_bytes;
    REQUIRE(most >= RdmaDevice::kDatagramBytesMin);
    for (const std::size_t size : {std::size_t{1}, std::size_t{256}, std::size_t{257}, most}) {
        pair.b.received.clear();
        std::vector<std::string> texts;
        for (char letter = 'a'; letter < 'a' + 20; ++letter) {
            texts.emplace_back(size, letter);
        }
        pair.a.send(&pair.two, texts);
        REQUIRE(wait_for({&pair.a, &pair.b}, [&] {
            // A greeting that was sent once more may still be under way.
            std::erase_if(pair.b.received,
                          [&](const Received& each) { return each.text.size() != size; });
            return pair.b.received.size() >= 20;
        }));
        for (std::size_t i = 0; i < texts.size(); ++i) {
            CHECK(pair.b.received[i].text == texts[i]);
        }
    }
}

TEST_CASE("a burst is one doorbell, and completions are few") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    const auto before = pair.a.device();
    pair.a.send(&pair.two, std::vector<std::string>(64, std::string(1000, 'x')));
    REQUIRE(wait_for({&pair.a, &pair.b}, [&] { return pair.b.received.size() >= 65; }));
    (void)pair.a.link->held_from();
    const auto after = pair.a.device();
    CHECK(after.doorbells_sent - before.doorbells_sent == 1);
    CHECK(after.sends - before.sends == 64);
    CHECK(after.sends_inline == before.sends_inline);
    CHECK(after.completions_sent - before.completions_sent <= 4);
}

TEST_CASE("neither sender nor receiver copies a datagram") {
    if (!copies::are_counted()) return;
    {
        const copies::Counted counted;
        // Not by the compiler's own means.
        void* (*volatile copy)(void*, const void*, std::size_t) = std::memcpy;
        const std::string from(copies::kBytesMin, 'x');
        std::string to(copies::kBytesMin, ' ');
        copy(to.data(), from.data(), from.size());
        REQUIRE(to == from);
    }
    REQUIRE(copies::made() > 0);
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    const std::size_t most = pair.a.device().packet_bytes;
    // The first time the list of requests, which is kept, grows.
    std::size_t before = 0;
    for (const char letter : {'a', 'b'}) {
        before = copies::made();
        pair.b.received.clear();
        pair.a.send(&pair.two, std::vector<std::string>(64, std::string(most, letter)));
        REQUIRE(wait_for({&pair.a, &pair.b}, [&] { return pair.b.received.size() >= 64; }));
    }
    CHECK(copies::made() == before);
}

TEST_CASE("small datagrams need no memory of the sender's") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    const auto before = pair.a.device();
    pair.a.send(&pair.two, std::string(200, 'x'));
    CHECK(pair.a.device().sends_inline == before.sends_inline + 1);
    CHECK_FALSE(pair.a.link->held_from().has_value());
}

TEST_CASE("what goes to the group comes to all others, and not back") {
    Pair pair;
    End c(3);
    REQUIRE(wait_for({&pair.a, &pair.b, &c}, [&] {
        return pair.a.link->group() != nullptr && pair.b.link->group() != nullptr &&
               c.link->group() != nullptr;
    }));
    auto next = os::now();
    REQUIRE(wait_for({&pair.a, &pair.b, &c}, [&] {
        if (os::now() >= next) {
            pair.a.send(pair.a.link->group(), "to all");
            next = os::now() + std::chrono::milliseconds(200);
        }
        return pair.b.got("to all") && c.got("to all") && pair.a.device().echoes > 0;
    }));
    CHECK(pair.a.received.empty());
}

TEST_CASE("what is larger than the port carries is counted, and breaks nothing") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    pair.a.send(&pair.two, std::string(pair.a.device().packet_bytes + 1, 'x'));
    CHECK(pair.a.counters().too_large == 1);
    CHECK(reaches(pair.a, pair.two, pair.b, "again"));
    CHECK(pair.a.device().queue_pairs == 1);
}

TEST_CASE("a receive queue that runs empty loses packets and goes on") {
    Pair pair;
    const auto three = address_of(3);
    End small(3, 16);
    pair.a.link->set_peers(std::span(&three, 1));
    REQUIRE(reaches(pair.a, three, small, "hello"));
    for (int burst = 0; burst < 4; ++burst) {
        pair.a.send(&three, std::vector<std::string>(64, std::string(500, 'x')));
    }
    REQUIRE(reaches(pair.a, three, small, "still there"));
    CHECK(small.received.size() >= 16);
    CHECK(small.received.size() < 250);
    CHECK(small.device().queue_pairs == 1);
}

TEST_CASE("a send queue that is full waits, and each send is accounted for") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    const auto sends = pair.a.device().sends;
    const auto not_sent = pair.a.counters().not_sent;
    for (int burst = 0; burst < 40; ++burst) {
        pair.a.send(&pair.two, std::vector<std::string>(32, std::string(900, 'x')));
        pair.b.turn();
    }
    const auto given_up = pair.a.counters().not_sent - not_sent;
    MESSAGE(given_up, " of 1280 given up");  // The device was not run for all of the wait.
    CHECK(pair.a.device().sends - sends + given_up == 1280);
    CHECK(reaches(pair.a, pair.two, pair.b, "and goes on"));
    CHECK(pair.a.device().queue_pairs == 1);
}

TEST_CASE("a device that takes few requests does not wait for completions that nobody asked for") {
    REQUIRE(::setenv("HALO_RDMA_QUEUE_MAX", "16", 1) == 0);  // faults.cpp
    Pair pair;
    REQUIRE(::unsetenv("HALO_RDMA_QUEUE_MAX") == 0);
    REQUIRE(pair.a.device().receives == 16);
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    for (int i = 0; i < 10; ++i) {
        for (const std::size_t burst : {std::size_t{1}, std::size_t{7}, std::size_t{8}}) {
            const std::string text(600, static_cast<char>('a' + i));
            pair.b.received.clear();
            pair.a.send(&pair.two, std::vector<std::string>(burst, text));
            REQUIRE(wait_for({&pair.a, &pair.b}, [&] { return pair.b.got(text); }));
        }
    }
    CHECK(pair.a.device().queue_pairs == 1);
}

TEST_CASE("a broken queue pair is made anew, and the peer finds it") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    REQUIRE(reaches(pair.b, pair.one, pair.a, "hello"));
    const auto old = pair.a.rdma().device()->queue_pair()->qp_num;
    ibv_qp_attr attributes{};
    attributes.qp_state = IBV_QPS_ERR;
    REQUIRE(ibv_modify_qp(pair.a.rdma().device()->queue_pair(), &attributes, IBV_QP_STATE) == 0);
    REQUIRE(wait_for({&pair.a, &pair.b}, [&] { return pair.a.device().queue_pairs == 2; }));
    CHECK(pair.a.rdma().device()->queue_pair()->qp_num != old);
    REQUIRE(reaches(pair.a, pair.two, pair.b, "from the new one"));
    // The peer still sends to the old one; that the new one was heard makes it ask.
    pair.b.link->heard(pair.one, pair.a.rdma().device()->queue_pair()->qp_num);
    CHECK(reaches(pair.b, pair.one, pair.a, "to the new one"));
    CHECK(pair.a.link->is_usable());
}

TEST_CASE("a peer that starts anew is found") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    pair.b.link.reset();
    End again(2);
    again.link->set_peers(std::span(&pair.one, 1));
    // Nothing is heard of it, so that its silence is what makes us ask.
    CHECK(reaches(pair.a, pair.two, again, "are you there"));
}

TEST_CASE("without a device it says so, and works as soon as there is one") {
    const SocketAddress nowhere = *SocketAddress::parse("192.0.2.1", kPort);
    SendMemory memory(4096);
    const auto link = RdmaLink::open({.link = LinkId{3},
                                      .address = nowhere,
                                      .group = std::nullopt,
                                      .receives = 16,
                                      .memory = &memory});
    REQUIRE(link.has_value());
    CHECK_FALSE((*link)->is_usable());
    CHECK((*link)->take_notices().empty());
    (*link)->start(os::now());
    CHECK_FALSE((*link)->is_usable());
    const auto notices = (*link)->take_notices();
    REQUIRE(notices.size() == 1);
    CHECK(notices[0].link == LinkId{3});
    CHECK(notices[0].text.find("no RDMA device has the address 192.0.2.1:5405") == 0);
}

TEST_CASE("a device that goes and comes back is noticed, with its port") {
    const char* interface = std::getenv("HALO_RDMA_INTERFACE");
    const char* device = std::getenv("HALO_RDMA_DEVICE");
    REQUIRE(interface != nullptr);
    REQUIRE(device != nullptr);
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));

    SUBCASE("the port goes down") {
        REQUIRE(run(std::string("ip link set ") + interface + " down") == 0);
        CHECK(wait_for({&pair.a, &pair.b}, [&] { return !pair.a.link->is_usable(); }));
        REQUIRE(run(std::string("ip link set ") + interface + " up") == 0);
        REQUIRE(run("eval \"$HALO_RDMA_ROUTES\"") == 0);
    }
    // Both use what librdmacm opened once.
    std::optional<End> neighbour;
    const auto are_usable = [&](bool wanted) {
        if (neighbour) neighbour->turn();
        return pair.a.link->is_usable() == wanted &&
               (!neighbour || neighbour->link->is_usable() == wanted);
    };
    SUBCASE("the device is removed") {
        SUBCASE("from one link") {}
        SUBCASE("from two links") {
            neighbour.emplace(1, 32, false, kPort + 1);
            REQUIRE(neighbour->link->is_usable());
        }
        // Its driver waits until we have closed it.
        auto removed =
            std::async(std::launch::async, run, std::string("rdma link delete ") + device);
        CHECK(wait_for({&pair.a, &pair.b}, [&] { return are_usable(false); }));
        REQUIRE(wait_for({&pair.a, &pair.b}, [&] {
            return removed.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        }));
        REQUIRE(removed.get() == 0);
        const std::string add =
            std::string("rdma link add ") + device + " type rxe netdev " + interface;
        REQUIRE(run(add) == 0);
    }
    CHECK(wait_for({&pair.a, &pair.b}, [&] { return are_usable(true); }));
    CHECK(reaches(pair.a, pair.two, pair.b, "back again"));
    CHECK(pair.a.link->take_notices().size() >= 2);
}

TEST_CASE("too small a port is told with what to do") {
    const char* interface = std::getenv("HALO_RDMA_INTERFACE");
    REQUIRE(interface != nullptr);
    REQUIRE(run(std::string("ip link set ") + interface + " mtu 576") == 0);
    const End end(1, 64, false);
    const auto notices = end.link->take_notices();
    REQUIRE(run(std::string("ip link set ") + interface + " mtu 4200") == 0);
    REQUIRE(notices.size() == 1);
    CHECK(notices[0].text.find("raise the MTU of its interface") != std::string::npos);
}

// In a process without CAP_IPC_LOCK, which makes the limit count.
TEST_CASE("too little locked memory is told with what to do" * doctest::skip()) {
    const rlimit little{.rlim_cur = 65536, .rlim_max = 65536};
    REQUIRE(::setrlimit(RLIMIT_MEMLOCK, &little) == 0);
    const End end(1, 1024, false);
    CHECK_FALSE(end.link->is_usable());
    const auto notices = end.link->take_notices();
    REQUIRE(notices.size() == 1);
    CHECK(notices[0].text.find("the limit is 65536 bytes: raise LimitMEMLOCK") !=
          std::string::npos);
}

TEST_CASE("links that come and go leave nothing behind") {
    const auto descriptors = [] {
        const auto folder = std::filesystem::directory_iterator("/proc/self/fd");
        return std::distance(begin(folder), end(folder));
    };
    // What the heap's pages hold besides, between what is in use, is no leak.
    const auto bytes_in_use = [] {
        const auto heap = ::mallinfo2();
        return static_cast<long>(heap.uordblks + heap.hblkhd);
    };
    const char* wanted = std::getenv("HALO_RDMA_CYCLES");
    const int cycles = wanted == nullptr ? 30 : std::atoi(wanted);
    const auto one = address_of(1);
    const auto two = address_of(2);
    End a(1, 32, false);
    a.link->set_peers(std::span(&two, 1));
    long bytes = 0;
    long open = 0;
    std::string held;
    for (int i = 0; i < cycles + 10; ++i) {
        if (i == 10) {  // The libraries have what they keep.
            open = descriptors();
            bytes = bytes_in_use();
            held = held_by_drivers();
        }
        End b(2, 32, true);
        b.link->set_peers(std::span(&one, 1));
        REQUIRE(reaches(b, one, a, "cycle " + std::to_string(i)));
        a.received.clear();
    }
    // What a question of the peer's takes goes a moment later.
    for (int i = 0; i < 20 && held_by_drivers() != held; ++i) {
        a.turn();
    }
    CHECK(held.find("qp 2") != std::string::npos);  // One is the device's own.
    CHECK(held_by_drivers() == held);
    CHECK(descriptors() == open);
    const long grown = bytes_in_use() - bytes;
    MESSAGE(cycles, " cycles: ", grown, " bytes more in use");
#if !defined(__SANITIZE_ADDRESS__)  // Which tells leaks itself.
    CHECK(grown < 32 * 1024);
#endif
}
