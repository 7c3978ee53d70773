#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/unit/libclient/cpg_client.hpp"
#include "tests/unit/libclient/one_node_cpgd.hpp"

namespace {

constexpr cs_dispatch_flags_t kInvalidFlags = static_cast<cs_dispatch_flags_t>(7);

// A group whose name counts its NUL, as Pacemaker's.
const std::string kGroup("crmd\0", 5);

TEST_CASE("without a daemon initialize fails at once") {
    { const OneNodeCpgd gone; }
    cpg_handle_t handle = 0;
    const auto start = std::chrono::steady_clock::now();
    CHECK(cpg_initialize(&handle, nullptr) == CS_ERR_LIBRARY);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{1});
    CHECK(handle == 0);
}

TEST_CASE("what cpgd refuses with is what initialize gives") {
    for (const cs_error_t error : {CS_ERR_TRY_AGAIN, CS_ERR_ACCESS}) {
        const OneNodeCpgd cpgd({.refuse_with = static_cast<std::uint32_t>(error)});
        cpg_handle_t handle = 0;
        CHECK(cpg_initialize(&handle, nullptr) == error);
        CHECK(handle == 0);
    }
}

TEST_CASE("arguments that no daemon needs to see are refused") {
    const OneNodeCpgd cpgd;
    cpg_handle_t handle = 0;
    cpg_model_v1_data_t data{};
    data.flags = 2;
    auto* model_data = reinterpret_cast<cpg_model_data_t*>(&data);
    CHECK(cpg_model_initialize(&handle, CPG_MODEL_V1, model_data, nullptr) == CS_ERR_INVALID_PARAM);
    const auto other_model = static_cast<cpg_model_t>(0);
    CHECK(cpg_model_initialize(&handle, other_model, model_data, nullptr) == CS_ERR_INVALID_PARAM);

    CpgClient client;
    REQUIRE(client.result == CS_OK);
    cpg_name name = name_of("a");
    name.length = CPG_MAX_NAME_LENGTH + 1;
    std::array<cpg_address, CPG_MEMBERS_MAX> members{};
    int count = 0;
    CHECK(cpg_join(client.handle, &name) == CS_ERR_NAME_TOO_LONG);
    CHECK(cpg_leave(client.handle, &name) == CS_ERR_NAME_TOO_LONG);
    CHECK(cpg_membership_get(client.handle, &name, members.data(), &count) == CS_ERR_NAME_TOO_LONG);
    CHECK(cpg_dispatch(client.handle, kInvalidFlags) == CS_ERR_INVALID_PARAM);
}

TEST_CASE("a handle that is unknown or finalized is bad to every call") {
    const OneNodeCpgd cpgd;
    cpg_handle_t handle = 0;
    REQUIRE(cpg_initialize(&handle, nullptr) == CS_OK);
    CHECK(handle != 0);
    CHECK(cpg_finalize(handle) == CS_OK);

    cpg_name name = name_of("a");
    std::array<cpg_address, CPG_MEMBERS_MAX> members{};
    int number = 0;
    unsigned node = 0;
    std::uint32_t size = 0;
    void* context = nullptr;
    cpg_flow_control_state_t state{};
    cpg_iteration_handle_t iteration = 0;
    for (const cpg_handle_t bad : {handle, cpg_handle_t{0}, cpg_handle_t{1}}) {
        CHECK(cpg_finalize(bad) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_fd_get(bad, &number) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_max_atomic_msgsize_get(bad, &size) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_context_get(bad, &context) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_context_set(bad, context) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_dispatch(bad, CS_DISPATCH_ONE) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_join(bad, &name) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_leave(bad, &name) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_mcast_joined(bad, CPG_TYPE_AGREED, nullptr, 0) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_membership_get(bad, &name, members.data(), &number) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_local_get(bad, &node) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_flow_control_state_get(bad, &state) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_zcb_alloc(bad, 1, &context) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_zcb_free(bad, nullptr) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_zcb_mcast_joined(bad, CPG_TYPE_AGREED, nullptr, 0) == CS_ERR_BAD_HANDLE);
        CHECK(cpg_iteration_initialize(bad, CPG_ITERATION_ALL, nullptr, &iteration) ==
              CS_ERR_BAD_HANDLE);
        CHECK(cpg_iteration_finalize(bad) == CS_ERR_BAD_HANDLE);
    }
}

TEST_CASE("the descriptor is a connected UNIX socket of the daemon") {
    const OneNodeCpgd cpgd;
    const CpgClient client;
    ucred peer{};
    socklen_t size = sizeof(peer);
    REQUIRE(::getsockopt(client.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0);
    CHECK(peer.uid == ::getuid());
    CHECK((::fcntl(client.fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(client.fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK(client.polled(0) == 0);
}

TEST_CASE("who gives the descriptor away asks a daemon of old once that it is kept") {
    for (const bool knows_keep : {true, false}) {
        const OneNodeCpgd cpgd({.knows_keep = knows_keep, .knows_lazy_events = false});
        cpg_handle_t handle = 0;
        REQUIRE(cpg_initialize(&handle, nullptr) == CS_OK);
        CHECK(cpgd.keeps() == 0);
        for (int again = 0; again < 2; ++again) {
            int fd = -1;
            CHECK(cpg_fd_get(handle, &fd) == CS_OK);
            CHECK(cpgd.keeps() == (knows_keep ? 1 : 0));
        }
        CHECK(cpg_finalize(handle) == CS_OK);
    }
}

TEST_CASE("a session that joins no group has one connection, and ends with it") {
    for (const bool knows_lazy_events : {true, false}) {
        OneNodeCpgd cpgd({.knows_lazy_events = knows_lazy_events});
        cpg_handle_t handle = 0;
        REQUIRE(cpg_initialize(&handle, nullptr) == CS_OK);
        cpg_name group = name_of(kGroup);
        std::array<cpg_address, CPG_MEMBERS_MAX> members{};
        int count = 0;
        CHECK(cpg_membership_get(handle, &group, members.data(), &count) == CS_OK);
        CHECK(cpg_finalize(handle) == CS_OK);
        CHECK(cpgd.connections() == 1);
        CHECK(cpgd.goodbyes() == (knows_lazy_events ? 0 : 1));
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{kDeadlineMs};
        while (cpgd.sessions() > 0 && std::chrono::steady_clock::now() < end) {
        }
        CHECK(cpgd.sessions() == 0);
    }
}

TEST_CASE("the second connection is opened once, for the descriptor or for events") {
    OneNodeCpgd cpgd;
    cpg_handle_t handle = 0;
    REQUIRE(cpg_initialize(&handle, nullptr) == CS_OK);
    const cpg_name group = name_of(kGroup);
    CHECK(cpg_join(handle, &group) == CS_OK);
    CHECK(cpgd.connections() == 1);
    CHECK(cpg_dispatch(handle, CS_DISPATCH_ONE) == CS_OK);  // The own join.
    CHECK(cpgd.connections() == 2);
    int fd = -1;
    CHECK(cpg_fd_get(handle, &fd) == CS_OK);
    int again = -1;
    CHECK(cpg_fd_get(handle, &again) == CS_OK);
    CHECK(again == fd);
    CHECK(cpgd.connections() == 2);
    CHECK(cpg_finalize(handle) == CS_OK);
    CHECK(cpgd.goodbyes() == 1);
    CHECK(cpgd.keeps() == 0);
}

TEST_CASE("threads that want the descriptor at once get the same one") {
    OneNodeCpgd cpgd;
    for (int round = 0; round < 20; ++round) {
        cpg_handle_t handle = 0;
        REQUIRE(cpg_initialize(&handle, nullptr) == CS_OK);
        std::array<int, 4> fds{};
        std::vector<std::thread> threads;
        for (int& fd : fds) {
            threads.emplace_back([handle, &fd] { (void)cpg_fd_get(handle, &fd); });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        CHECK(fds[0] > 0);
        CHECK(std::ranges::count(fds, fds[0]) == 4);
        CHECK(cpg_finalize(handle) == CS_OK);
    }
    CHECK(cpgd.connections() == 40);
}

TEST_CASE("without a descriptor to spare the program is told, and goes on when there is one") {
    const OneNodeCpgd cpgd;
    cpg_handle_t handle = 0;
    REQUIRE(cpg_initialize(&handle, nullptr) == CS_OK);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit tight{.rlim_cur = 0, .rlim_max = before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
    int fd = -1;
    const cs_error_t told = cpg_fd_get(handle, &fd);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(told == CS_ERR_NO_RESOURCES);
    CHECK(fd == -1);
    CHECK(cpg_fd_get(handle, &fd) == CS_OK);
    CHECK(cpg_finalize(handle) == CS_OK);
}

TEST_CASE("a member first sees its own join, then what it sends") {
    const OneNodeCpgd cpgd;
    CpgClient client(CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF);
    REQUIRE(client.join(kGroup) == CS_OK);
    REQUIRE(client.send("hello") == CS_OK);
    REQUIRE(client.send("") == CS_OK);
    REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == 2; }));
    CHECK(client.seen.messages == std::vector<std::string>{"hello", ""});
    CHECK(client.seen.group == kGroup);
    CHECK(client.seen.order == std::vector<std::string>{"confchg", "ring", "message", "message"});
    REQUIRE(client.seen.confchgs.size() == 1);
    REQUIRE(client.seen.confchgs[0].joined.size() == 1);
    CHECK(client.seen.confchgs[0].joined[0].nodeid == 7);
    CHECK(client.seen.confchgs[0].joined[0].pid == static_cast<std::uint32_t>(::getpid()));
    CHECK(client.seen.confchgs[0].joined[0].reason == CPG_REASON_JOIN);
    CHECK(client.seen.confchgs[0].members.size() == 1);
    CHECK(client.seen.rings.at(0).seq == 40);
    unsigned node = 0;
    CHECK(cpg_local_get(client.handle, &node) == CS_OK);
    CHECK(node == 7);
}

TEST_CASE("join and leave answer for each state of the handle") {
    const OneNodeCpgd cpgd;
    CpgClient client;
    CpgClient second;
    CHECK(client.leave("a") == CS_ERR_NOT_EXIST);
    CHECK(client.send("to nobody") == CS_OK);
    CHECK(client.join("a") == CS_OK);
    CHECK(client.join("a") == CS_ERR_EXIST);
    CHECK(client.join("b") == CS_ERR_EXIST);
    CHECK(second.join("a") == CS_ERR_EXIST);
    CHECK(second.join("b") == CS_OK);
    CHECK(client.leave("b") == CS_ERR_NOT_EXIST);
    CHECK(client.leave("a") == CS_OK);
    CHECK(client.leave("a") == CS_ERR_NOT_EXIST);
    CHECK(client.join("a") == CS_OK);
    REQUIRE(client.dispatch_until([&] { return client.seen.confchgs.size() == 3; }));
    CHECK(client.seen.confchgs[1].left.at(0).reason == CPG_REASON_LEAVE);
    CHECK(client.seen.confchgs[1].members.empty());
    CHECK(client.seen.group == "a");
    CHECK(client.seen.messages.empty());
}

TEST_CASE("each dispatch flag does what it says") {
    const OneNodeCpgd cpgd;
    CpgClient client;
    CHECK(cpg_dispatch(client.handle, CS_DISPATCH_ALL) == CS_OK);
    CHECK(cpg_dispatch(client.handle, CS_DISPATCH_ONE_NONBLOCKING) == CS_ERR_TRY_AGAIN);
    REQUIRE(client.join("a") == CS_OK);
    CHECK(cpg_dispatch(client.handle, CS_DISPATCH_ONE) == CS_OK);
    CHECK(client.seen.confchgs.size() == 1);

    for (int i = 0; i < 3; ++i) {
        REQUIRE(client.send("x") == CS_OK);
    }
    CHECK(cpg_dispatch(client.handle, CS_DISPATCH_ONE) == CS_OK);
    CHECK(client.seen.messages.size() == 1);
    while (client.seen.messages.size() < 3) {
        REQUIRE(client.polled(kDeadlineMs) == POLLIN);
        REQUIRE(cpg_dispatch(client.handle, CS_DISPATCH_ALL) == CS_OK);
    }
    CHECK(client.polled(0) == 0);
}

TEST_CASE("the descriptor is readable until the last event is dispatched") {
    const OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    constexpr int kMessages = 20'000;
    int sent = 0;
    // All sizes that straddle a read in all ways; bursts, so that many lie in one read.
    while (sent < kMessages) {
        const std::string message(static_cast<std::size_t>(sent * 7 % 400), 'm');
        const cs_error_t result = client.send(message);
        REQUIRE((result == CS_OK || result == CS_ERR_TRY_AGAIN));
        if (result == CS_OK) ++sent;
        if (result == CS_OK && sent % 500 != 0) continue;
        REQUIRE(client.dispatch_until(
            [&] { return client.seen.messages.size() >= static_cast<std::size_t>(sent) - 100; }));
    }
    REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == kMessages; }));
    CHECK(client.polled(0) == 0);
    CHECK(cpgd.acknowledged() > kMessages / 2);
}

TEST_CASE("credit and replies never make the descriptor readable") {
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    REQUIRE(client.send("x") == CS_OK);
    REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == 1; }));
    cpgd.credit_all(1u << 20u);
    cpg_name name = name_of("a");
    std::array<cpg_address, CPG_MEMBERS_MAX> members{};
    int count = 0;
    REQUIRE(cpg_membership_get(client.handle, &name, members.data(), &count) == CS_OK);
    CHECK(count == 1);
    CHECK(client.polled(0) == 0);
}

TEST_CASE("events that come during a request stay readable") {
    const OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    REQUIRE(client.send("x") == CS_OK);
    cpg_name name = name_of("a");
    std::array<cpg_address, CPG_MEMBERS_MAX> members{};
    int count = 0;
    // Behind the multicast, so its event is there when the answer is.
    REQUIRE(cpg_membership_get(client.handle, &name, members.data(), &count) == CS_OK);
    CHECK(client.polled(kDeadlineMs) == POLLIN);
    CHECK(client.dispatch_until([&] { return client.seen.messages.size() == 1; }));
}

TEST_CASE("a group that does not exist has no members") {
    const OneNodeCpgd cpgd;
    const CpgClient client;
    cpg_name name = name_of("nobody");
    std::array<cpg_address, CPG_MEMBERS_MAX> members{};
    int count = -1;
    CHECK(cpg_membership_get(client.handle, &name, members.data(), &count) == CS_OK);
    CHECK(count == 0);
}

TEST_CASE("iteration walks over what was there at its start") {
    const OneNodeCpgd cpgd;
    CpgClient first;
    CpgClient second;
    REQUIRE(first.join("a") == CS_OK);
    REQUIRE(second.join(kGroup) == CS_OK);

    const cpg_name name = name_of("a");
    cpg_iteration_handle_t walk = 0;
    CHECK(cpg_iteration_initialize(first.handle, CPG_ITERATION_ALL, &name, &walk) ==
          CS_ERR_INVALID_PARAM);
    CHECK(cpg_iteration_initialize(first.handle, CPG_ITERATION_ONE_GROUP, nullptr, &walk) ==
          CS_ERR_INVALID_PARAM);
    cpg_iteration_description_t entry{};

    REQUIRE(cpg_iteration_initialize(first.handle, CPG_ITERATION_ALL, nullptr, &walk) == CS_OK);
    REQUIRE(second.leave(kGroup) == CS_OK);
    REQUIRE(cpg_iteration_next(walk, &entry) == CS_OK);
    CHECK(entry.group.length == 1);
    CHECK(entry.nodeid == 7);
    CHECK(entry.pid == static_cast<std::uint32_t>(::getpid()));
    REQUIRE(cpg_iteration_next(walk, &entry) == CS_OK);
    CHECK(std::string(entry.group.value, entry.group.length) == kGroup);
    CHECK(cpg_iteration_next(walk, &entry) == CS_ERR_NO_SECTIONS);
    CHECK(cpg_iteration_finalize(walk) == CS_OK);
    CHECK(cpg_iteration_next(walk, &entry) == CS_ERR_BAD_HANDLE);

    REQUIRE(cpg_iteration_initialize(first.handle, CPG_ITERATION_NAME_ONLY, nullptr, &walk) ==
            CS_OK);
    REQUIRE(cpg_iteration_next(walk, &entry) == CS_OK);
    CHECK(entry.nodeid == 0);
    CHECK(entry.pid == 0);
    CHECK(cpg_iteration_next(walk, &entry) == CS_ERR_NO_SECTIONS);

    REQUIRE(cpg_iteration_initialize(first.handle, CPG_ITERATION_ONE_GROUP, &name, &walk) == CS_OK);
    REQUIRE(cpg_finalize(first.handle) == CS_OK);
    CHECK(cpg_iteration_next(walk, &entry) == CS_ERR_BAD_HANDLE);
}

TEST_CASE("a handle may be finalized inside its own callback") {
    const OneNodeCpgd cpgd;
    for (const auto flags :
         {CS_DISPATCH_ONE, CS_DISPATCH_ALL, CS_DISPATCH_BLOCKING, CS_DISPATCH_ONE_NONBLOCKING}) {
        CpgClient client;
        client.seen.in_confchg = [](cpg_handle_t handle) { CHECK(cpg_finalize(handle) == CS_OK); };
        REQUIRE(client.join("a") == CS_OK);
        REQUIRE(client.polled(kDeadlineMs) == POLLIN);
        CHECK(cpg_dispatch(client.handle, flags) == CS_OK);
        CHECK(client.seen.confchgs.size() == 1);
        CHECK(cpg_dispatch(client.handle, flags) == CS_ERR_BAD_HANDLE);
    }
}

TEST_CASE("a callback may call the library on its own handle") {
    const OneNodeCpgd cpgd;
    CpgClient client;
    client.seen.in_confchg = [](cpg_handle_t handle) {
        iovec piece{.iov_base = const_cast<char*>("in"), .iov_len = 2};
        CHECK(cpg_mcast_joined(handle, CPG_TYPE_AGREED, &piece, 1) == CS_OK);
        cpg_name name = name_of("a");
        std::array<cpg_address, CPG_MEMBERS_MAX> members{};
        int count = 0;
        CHECK(cpg_membership_get(handle, &name, members.data(), &count) == CS_OK);
        CHECK(count == 1);
    };
    REQUIRE(client.join("a") == CS_OK);
    CHECK(client.dispatch_until([&] { return client.seen.messages.size() == 1; }));
}

TEST_CASE("the death of the daemon is seen at once, by every call") {
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    REQUIRE(client.dispatch_until([&] { return client.seen.confchgs.size() == 1; }));
    cpgd.die();
    CHECK((client.polled(kDeadlineMs) & (POLLIN | POLLHUP)) == (POLLIN | POLLHUP));

    cpg_name name = name_of("a");
    std::array<cpg_address, CPG_MEMBERS_MAX> members{};
    int count = 0;
    unsigned node = 0;
    void* memory = nullptr;
    cpg_iteration_handle_t walk = 0;
    CHECK(client.send("x") == CS_ERR_LIBRARY);
    for (const auto flags :
         {CS_DISPATCH_ONE, CS_DISPATCH_ALL, CS_DISPATCH_BLOCKING, CS_DISPATCH_ONE_NONBLOCKING}) {
        CHECK(cpg_dispatch(client.handle, flags) == CS_ERR_LIBRARY);
    }
    CHECK(cpg_membership_get(client.handle, &name, members.data(), &count) == CS_ERR_LIBRARY);
    CHECK(cpg_local_get(client.handle, &node) == CS_ERR_LIBRARY);
    CHECK(client.join("a") == CS_ERR_LIBRARY);
    CHECK(client.leave("a") == CS_ERR_LIBRARY);
    CHECK(cpg_zcb_alloc(client.handle, 1, &memory) == CS_ERR_LIBRARY);
    CHECK(cpg_iteration_initialize(client.handle, CPG_ITERATION_ALL, nullptr, &walk) ==
          CS_ERR_LIBRARY);
    CHECK(cpg_finalize(client.handle) == CS_ERR_LIBRARY);
    CHECK(cpg_finalize(client.handle) == CS_ERR_BAD_HANDLE);
}

}  // namespace
