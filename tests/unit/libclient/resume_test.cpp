// The daemon is killed under load and comes back: the program sees a pause, and nothing else.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <halo/groups.hpp>
#include <mutex>
#include <thread>

#include "tests/unit/libclient/cpg_client.hpp"
#include "tests/unit/libclient/one_node_cpgd.hpp"

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

TEST_CASE("a hundred restarts under load lose and double nothing") {
    OneNodeCpgd cpgd({.window_bytes = 512u << 10u});
    auto groups = halo::Groups::connect();
    REQUIRE(groups);
    const auto group = groups->join("a");
    REQUIRE(group);
    std::atomic<bool> stop = false;
    std::atomic<int> sent = 0;
    std::atomic<int> failures = 0;
    std::mutex first_failure_mutex;
    std::string first_failure;
    const auto fail = [&](std::string what) {
        const std::lock_guard lock(first_failure_mutex);
        if (failures++ == 0) first_failure = std::move(what);
    };
    const auto name_of = [](halo::Error error) { return std::to_string(static_cast<int>(error)); };
    std::thread sender([&] {
        const auto send = [&](const std::string& text) {
            const auto taken = groups->send(*group, bytes_of(text));
            if (!taken && taken.error() != halo::Error::TryAgain) {
                fail("send: " + name_of(taken.error()));
            }
            return taken.has_value();
        };
        while (!stop && failures == 0) {
            const auto padding = static_cast<std::size_t>(sent % 3'000);
            if (send(std::to_string(sent) + std::string(padding, '.'))) ++sent;
        }
        while (failures == 0 && !send("end")) {
        }
    });
    std::thread asker([&] {
        while (!stop && failures == 0) {
            const auto joined = groups->join("b");
            if (!joined) {
                fail("join: " + name_of(joined.error()));
            } else if (const auto left = groups->leave(*joined); !left) {
                fail("leave: " + name_of(left.error()));
            }
        }
    });
    std::thread killer([&] {
        for (int kill = 0; kill < 100; ++kill) {
            const int before = sent;
            while (sent < before + 20 && failures == 0) {
                std::this_thread::yield();
            }
            cpgd.restart();
        }
        stop = true;
    });

    int next = 0;
    int resumed = 0;
    while (failures == 0) {
        const auto event = groups->next(halo::Wait::ForEvent);
        if (!event) fail("next: " + name_of(event.error()));
        if (!event) break;
        if (std::holds_alternative<halo::Resumed>(*event)) ++resumed;
        const auto* message = std::get_if<halo::Message>(&*event);
        if (message == nullptr || message->group != *group) continue;
        const std::string text(reinterpret_cast<const char*>(message->bytes.data()),
                               message->bytes.size());
        if (text == "end") break;
        if (std::stoi(text) != next++) fail("message " + text.substr(0, text.find('.')));
    }
    killer.join();
    sender.join();
    asker.join();
    CHECK(first_failure == "");
    CHECK(next == sent.load());
    CHECK(resumed > 0);
}

TEST_CASE("epoll goes on watching the descriptor after a restart, in every instance") {
    OneNodeCpgd cpgd;
    auto groups = halo::Groups::connect();
    REQUIRE(groups);
    const int fd = groups->fd();
    const std::array epolls{os::UniqueFd(::epoll_create1(EPOLL_CLOEXEC)),
                            os::UniqueFd(::epoll_create1(EPOLL_CLOEXEC))};
    const auto wait = [&](std::size_t which) {
        epoll_event got{};
        REQUIRE(::epoll_wait(epolls.at(which).get(), &got, 1, kDeadlineMs) == 1);
        const std::uint64_t data = got.data.u64;  // A packed field binds to no reference.
        CHECK(data == 0xfedc'ba98'7654'3210 + which);
        return std::uint32_t{got.events};
    };
    for (std::size_t i = 0; i < epolls.size(); ++i) {
        epoll_event wanted{.events = EPOLLIN, .data = {.u64 = 0xfedc'ba98'7654'3210 + i}};
        REQUIRE(::epoll_ctl(epolls.at(i).get(), EPOLL_CTL_ADD, fd, &wanted) == 0);
    }
    cpgd.restart();
    CHECK((wait(0) & EPOLLIN) != 0);
    const auto event = groups->next(halo::Wait::Never);
    REQUIRE(event);
    CHECK(std::holds_alternative<halo::Resumed>(*event));
    CHECK(groups->fd() == fd);
    REQUIRE(groups->join("a"));
    CHECK(wait(0) == EPOLLIN);
    CHECK(wait(1) == EPOLLIN);
    CHECK(std::holds_alternative<halo::Membership>(*groups->next(halo::Wait::Never)));
    epoll_event none{};
    CHECK(::epoll_wait(epolls.at(0).get(), &none, 1, 0) == 0);
}

TEST_CASE("a connection that was kept open is readable after a restart, and not hung up") {
    OneNodeCpgd cpgd;
    auto groups = halo::Groups::connect();
    REQUIRE(groups);
    pollfd watched{.fd = groups->fd(), .events = POLLIN, .revents = 0};
    cpgd.restart(OneNodeCpgd::Connections::Kept);
    REQUIRE(::poll(&watched, 1, kDeadlineMs) == 1);
    CHECK(watched.revents == POLLIN);
    const auto event = groups->next(halo::Wait::Never);
    REQUIRE(event);
    CHECK(std::holds_alternative<halo::Resumed>(*event));
    REQUIRE(groups->join("a"));
    REQUIRE(::poll(&watched, 1, kDeadlineMs) == 1);
    CHECK(watched.revents == POLLIN);
}

TEST_CASE("a node that has stopped ends a session at once") {
    OneNodeCpgd cpgd;
    auto groups = halo::Groups::connect();
    REQUIRE(groups);
    cpgd.die();
    const auto start = std::chrono::steady_clock::now();
    CHECK(groups->next(halo::Wait::ForEvent).error() == halo::Error::Lost);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{4});
}

TEST_CASE("a daemon that does not know the session ends it at once") {
    OneNodeCpgd cpgd;
    auto groups = halo::Groups::connect();
    REQUIRE(groups);
    REQUIRE(groups->join("a"));
    cpgd.forget();
    const auto start = std::chrono::steady_clock::now();
    CHECK(groups->next(halo::Wait::ForEvent).error() == halo::Error::Lost);
    // Long before the time for a daemon that does not come back is over.
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{4});
}

TEST_CASE("a session without a group is made anew by a daemon that does not know it") {
    for (const bool is_polled : {false, true}) {
        CAPTURE(is_polled);
        OneNodeCpgd cpgd;
        auto groups = halo::Groups::connect();
        REQUIRE(groups);
        const int fd = is_polled ? groups->fd() : -1;
        cpgd.forget();
        if (is_polled) {
            pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
            REQUIRE(::poll(&watched, 1, kDeadlineMs) == 1);
            const auto event = groups->next(halo::Wait::Never);
            REQUIRE(event);
            CHECK(std::holds_alternative<halo::Resumed>(*event));
            CHECK(::poll(&watched, 1, 0) == 0);
        }
        const auto group = groups->join("a");
        REQUIRE(group);
        REQUIRE(groups->send(*group, bytes_of("text")));
        CHECK(std::holds_alternative<halo::Membership>(*groups->next(halo::Wait::ForEvent)));
        CHECK(std::holds_alternative<halo::Message>(*groups->next(halo::Wait::ForEvent)));
        if (is_polled) CHECK(groups->fd() == fd);
        CHECK(cpgd.sessions() == 1);
    }
}

TEST_CASE("a first join is said again to a daemon that does not know the session") {
    OneNodeCpgd cpgd;
    auto groups = halo::Groups::connect();
    REQUIRE(groups);
    cpgd.ignore_joins(true);
    std::atomic<bool> has_joined = false;
    std::thread joiner([&] { has_joined = groups->join("a").has_value(); });
    while (cpgd.ignored_joins() == 0) {
        std::this_thread::yield();
    }
    cpgd.ignore_joins(false);
    cpgd.forget();
    joiner.join();
    CHECK(has_joined);
    CHECK(std::holds_alternative<halo::Membership>(*groups->next(halo::Wait::ForEvent)));
}

TEST_CASE("libcpg tells of a restart when it is asked to") {
    REQUIRE(::setenv("HALO_CPG_RESUME_MS", "0", 1) == 0);
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(::unsetenv("HALO_CPG_RESUME_MS") == 0);
    cpgd.restart();
    CHECK(cpg_dispatch(client.handle, CS_DISPATCH_ONE) == CS_ERR_LIBRARY);
}

TEST_CASE("libcpg resumes under the number that the program polls") {
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    for (int i = 0; i < 5; ++i) {
        REQUIRE(client.send("before") == CS_OK);
    }
    cpgd.restart();
    REQUIRE(client.send("after") == CS_OK);
    CHECK(client.dispatch_until([&] { return client.seen.messages.size() == 6; }));
    CHECK(client.seen.messages.back() == "after");
    CHECK(client.seen.confchgs.size() == 1);
    CHECK(cpg_finalize(client.handle) == CS_OK);
}

}  // namespace
