// Links over real verbs: what fails, comes and goes (ends.hpp). HALO_RDMA_INTERFACE,
// HALO_RDMA_DEVICE and HALO_RDMA_ADDRESS are of the first host, HALO_RDMA_ROUTES a command that
// gives it back its routes.
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <future>
#include <iterator>
#include <optional>

#include "tests/rdma/ends.hpp"

using namespace ends;

namespace {

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

}  // namespace

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
    SUBCASE("the address goes") {
        const std::string address =
            std::string(std::getenv("HALO_RDMA_ADDRESS")) + "/24 dev " + interface;
        REQUIRE(run("ip address del " + address) == 0);
        CHECK(wait_for({&pair.a, &pair.b}, [&] { return !pair.a.link->is_usable(); }));
        REQUIRE(run("ip address add " + address + " noprefixroute") == 0);
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

// Why ringd opens its devices when it has given up its privileges, and not before (docs/rdma.md).
TEST_CASE(
    "the kernel takes no command from a process that has other credentials than when it opened") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        constexpr uid_t kNobody = 65534;
        const transport::verbs::EventChannel channel(rdma_create_event_channel());
        rdma_cm_id* id = nullptr;
        const auto makes_id = [&] {
            return rdma_create_id(channel.get(), &id, nullptr, RDMA_PS_UDP) == 0;
        };
        const bool is_right = makes_id() && ::setresuid(kNobody, kNobody, kNobody) == 0 &&
                              !makes_id() && errno == EACCES;
        ::_exit(is_right ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
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
