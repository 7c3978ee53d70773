// Several threads on one handle, children, cancelled threads.
#include <doctest/doctest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "tests/unit/libclient/cpg_client.hpp"
#include "tests/unit/libclient/one_node_cpgd.hpp"

namespace {

bool waits_for(pid_t child, int& status) {
    return ::waitpid(child, &status, 0) == child;
}

// Sends until it is taken; false: it never is, or the daemon is gone.
bool send_patiently(CpgClient& client, const std::string& message) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{kDeadlineMs};
    for (;;) {
        const cs_error_t sent = client.send(message);
        if (sent == CS_OK) return true;
        if (sent != CS_ERR_TRY_AGAIN || std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::yield();
    }
}

std::set<int> threads_of_this_process() {
    std::set<int> threads;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
        threads.insert(std::stoi(thread.path().filename()));
    }
    return threads;
}

// The policies of threads that were not there before.
std::set<int> new_policies(const std::set<int>& before) {
    std::set<int> policies;
    for (const int thread : threads_of_this_process()) {
        if (!before.contains(thread)) policies.insert(::sched_getscheduler(thread));
    }
    return policies;
}

TEST_CASE("the helper of a burst takes nobody's processor, and keeps another policy") {
    for (const int policy : {SCHED_OTHER, SCHED_IDLE}) {
        CAPTURE(policy);
        const OneNodeCpgd cpgd;
        CpgClient client;
        REQUIRE(client.join("a") == CS_OK);
        std::size_t sent = 0;
        std::thread program([&] {
            const sched_param none{};
            CHECK(::sched_setscheduler(0, policy, &none) == 0);
            const std::set<int> before = threads_of_this_process();
            const std::set<int> wanted{policy == SCHED_OTHER ? SCHED_BATCH : policy};
            const auto deadline =
                std::chrono::steady_clock::now() + std::chrono::milliseconds{kDeadlineMs};
            // A burst is what no other program interrupts: there may be none for a while.
            while (new_policies(before) != wanted && std::chrono::steady_clock::now() < deadline) {
                for (int i = 0; i < 20; ++i, ++sent) {
                    CHECK(send_patiently(client, "x"));
                }
            }
            CHECK(new_policies(before) == wanted);
        });
        program.join();
        CHECK(client.dispatch_until([&] { return client.seen.messages.size() == sent; }));
    }
}

TEST_CASE("four threads send while a fifth dispatches: nothing is lost, each in order") {
    const OneNodeCpgd cpgd({.window_bytes = 256u << 10u});
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    constexpr int kThreads = 4;
    constexpr int kMessages = 5'000;
    std::atomic<int> failures = 0;
    std::vector<std::thread> senders;
    for (int thread = 0; thread < kThreads; ++thread) {
        senders.emplace_back([&, thread] {
            for (int i = 0; i < kMessages; ++i) {
                const std::string message = std::to_string(thread) + ":" + std::to_string(i);
                if (!send_patiently(client, message)) ++failures;
            }
        });
    }
    const bool all = client.dispatch_until(
        [&] { return client.seen.messages.size() == kThreads * kMessages || failures > 0; });
    for (std::thread& sender : senders) {
        sender.join();
    }
    CHECK(all);
    CHECK(failures == 0);
    std::map<std::string, int> next;
    for (const std::string& message : client.seen.messages) {
        const auto colon = message.find(':');
        REQUIRE(std::stoi(message.substr(colon + 1)) == next[message.substr(0, colon)]++);
    }
}

TEST_CASE("requests of other threads do not disturb who dispatches or sends") {
    const OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    std::atomic<int> failures = 0;
    std::vector<std::thread> askers;
    for (int thread = 0; thread < 2; ++thread) {
        askers.emplace_back([&] {
            cpg_name name = name_of("a");
            std::array<cpg_address, CPG_MEMBERS_MAX> members{};
            for (int i = 0; i < 300; ++i) {
                int count = 0;
                const cs_error_t got =
                    cpg_membership_get(client.handle, &name, members.data(), &count);
                if (got != CS_OK || count != 1) ++failures;
            }
        });
    }
    std::thread sender([&] {
        for (int i = 0; i < 1'000; ++i) {
            if (!send_patiently(client, "x")) ++failures;
        }
    });
    CHECK(client.dispatch_until(
        [&] { return client.seen.messages.size() == 1'000 || failures > 0; }));
    for (std::thread& asker : askers) {
        asker.join();
    }
    sender.join();
    CHECK(failures == 0);
}

TEST_CASE("another thread's finalize ends a blocking dispatch") {
    const OneNodeCpgd cpgd;
    CpgClient client;
    std::atomic<int> result = 0;
    std::thread dispatcher([&] { result = cpg_dispatch(client.handle, CS_DISPATCH_BLOCKING); });
    CHECK(cpg_finalize(client.handle) == CS_OK);
    dispatcher.join();
    // Bad handle: it was not there yet.
    CHECK((result == CS_OK || result == CS_ERR_BAD_HANDLE));
}

TEST_CASE("the death of the daemon ends a blocking dispatch") {
    OneNodeCpgd cpgd;
    CpgClient client;
    std::atomic<int> result = 0;
    std::thread dispatcher([&] { result = cpg_dispatch(client.handle, CS_DISPATCH_BLOCKING); });
    cpgd.die();
    dispatcher.join();
    CHECK(result == CS_ERR_LIBRARY);
}

// What fence_virtd does: a thread sits in a blocking dispatch, is cancelled, and the handle is used
// on.
TEST_CASE("a thread cancelled in dispatch leaves no lock held") {
    const OneNodeCpgd cpgd;
    for (int round = 0; round < 20; ++round) {
        CpgClient client;
        REQUIRE(client.join("a") == CS_OK);
        pthread_t thread{};
        REQUIRE(::pthread_create(
                    &thread, nullptr,
                    [](void* argument) -> void* {
                        (void)cpg_dispatch(static_cast<CpgClient*>(argument)->handle,
                                           CS_DISPATCH_BLOCKING);
                        return nullptr;
                    },
                    &client) == 0);
        // Half of the threads are cancelled somewhere on their way in.
        for (int i = 0; i < round * 50; ++i) {
            std::this_thread::yield();
        }
        REQUIRE(::pthread_cancel(thread) == 0);
        void* result = nullptr;
        REQUIRE(::pthread_join(thread, &result) == 0);
        CHECK(result == PTHREAD_CANCELED);
        CHECK(client.send("x") == CS_OK);
        CHECK(client.dispatch_until([&] { return client.seen.messages.size() == 1; }));
        CHECK(client.leave("a") == CS_OK);
    }
}

TEST_CASE("a child's calls fail and do not disturb the parent") {
    const OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    // A burst, so that a helper thread exists, which the child has not.
    for (int i = 0; i < 200; ++i) {
        REQUIRE(send_patiently(client, "before"));
    }
    const pid_t child = ::fork();
    if (child == 0) {
        int bad = 0;
        unsigned node = 0;
        if (client.send("from the child") == CS_ERR_BAD_HANDLE) ++bad;
        if (cpg_dispatch(client.handle, CS_DISPATCH_ONE) == CS_ERR_BAD_HANDLE) ++bad;
        if (cpg_local_get(client.handle, &node) == CS_ERR_BAD_HANDLE) ++bad;
        if (client.leave("a") == CS_ERR_BAD_HANDLE) ++bad;
        if (cpg_finalize(client.handle) == CS_ERR_BAD_HANDLE) ++bad;
        ::_exit(bad);
    }
    int status = 0;
    REQUIRE(waits_for(child, status));
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 5);
    REQUIRE(send_patiently(client, "after"));
    CHECK(client.dispatch_until([&] { return client.seen.messages.size() == 201; }));
    CHECK(client.seen.messages.back() == "after");
}

TEST_CASE("a child may initialize for itself") {
    const OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    const pid_t child = ::fork();
    if (child == 0) {
        CpgClient own;
        const bool good = own.result == CS_OK && own.handle != client.handle &&
                          own.join("a") == CS_OK && own.send("child") == CS_OK &&
                          own.dispatch_until([&] { return own.seen.messages.size() == 1; }) &&
                          cpg_finalize(own.handle) == CS_OK;
        ::_exit(good ? 42 : 1);
    }
    int status = 0;
    REQUIRE(waits_for(child, status));
    CHECK(WEXITSTATUS(status) == 42);
    // Join and end of the child, and what it sent.
    CHECK(client.dispatch_until([&] { return client.seen.confchgs.size() == 3; }));
    CHECK(client.seen.messages == std::vector<std::string>{"child"});
    CHECK(client.seen.confchgs[2].left.at(0).reason == CPG_REASON_PROCDOWN);
}

}  // namespace
