// The client's side of a session against a real server: calls, events, the descriptor, and a daemon
// that goes and comes back.
#include <doctest/doctest.h>
#include <poll.h>
#include <pthread.h>

#include <thread>

#include "libclient/src/service/session.hpp"
#include "tests/unit/common/os/manager.hpp"
#include "tests/unit/common/session/echo_daemon.hpp"

namespace {

using client::ServiceSession;
using client::Wait;

constexpr int kDeadlineMs = 20'000;

base::Buffer bytes_of(std::string_view text) {
    return base::Buffer::copy_of(std::as_bytes(std::span(text)));
}
std::string text_of(const base::Buffer& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ServiceSession::Options resuming(std::chrono::milliseconds time = std::chrono::seconds{10}) {
    return {.socket = "cmap", .resume = time, .subscriptions = [] {
                return std::vector{bytes_of("s")};
            }};
}

std::unique_ptr<ServiceSession> open(const ServiceSession::Options& options = {.socket = "cmap"}) {
    // A daemon that does not get to run for two seconds gives CS_ERR_TRY_AGAIN.
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{kDeadlineMs};
    for (;;) {
        auto session = ServiceSession::open(options);
        if (!session && session.error() == CS_ERR_TRY_AGAIN &&
            std::chrono::steady_clock::now() < end) {
            continue;
        }
        REQUIRE(session);
        return *std::move(session);
    }
}

std::string asked(ServiceSession& session, std::string_view text) {
    const auto answer = session.call(bytes_of(text));
    REQUIRE(answer);
    return text_of(*answer);
}

short polled(ServiceSession& session, int timeout_ms) {
    pollfd watched{.fd = session.event_fd().value_or(-1), .events = POLLIN, .revents = 0};
    return ::poll(&watched, 1, timeout_ms) > 0 ? watched.revents : short{0};
}

std::string next_text(ServiceSession& session) {
    ServiceSession::Event event;
    REQUIRE(session.next_event(event, Wait::ForEvent) == CS_OK);
    if (std::holds_alternative<ServiceSession::Resumed>(event)) return "(resumed)";
    return text_of(std::get<base::Buffer>(event));
}

TEST_CASE("calls are answered, and a refusal is an error with its payload") {
    EchoDaemon daemon;
    const auto session = open();
    CHECK(session->self() == base::NodeId{7});
    CHECK(asked(*session, "ehello") == "hello");
    CHECK(session->call(bytes_of("f")).error() == CS_ERR_EXIST);
    const auto refused = session->ask(bytes_of("f"));
    REQUIRE(refused);
    CHECK(refused->error == CS_ERR_EXIST);
    CHECK(text_of(refused->payload) == "why");
    const std::string large(protocol::session::kPayloadBytesMax, 'e');
    CHECK(asked(*session, large).size() == large.size() - 1);
    CHECK(session->call(bytes_of(large + "e")).error() == CS_ERR_TOO_BIG);
    CHECK(session->close() == CS_OK);
    CHECK(session->call(bytes_of("e")).error() == CS_ERR_LIBRARY);
}

TEST_CASE("the descriptor is readable for events alone, one at a time") {
    EchoDaemon daemon;
    const auto session = open();
    CHECK(asked(*session, "eanswer") == "answer");
    CHECK(polled(*session, 0) == 0);
    for (int i = 0; i < 100; ++i) {
        CHECK(asked(*session, "n" + std::to_string(i)) == "");
    }
    for (int i = 0; i < 100; ++i) {
        REQUIRE(polled(*session, kDeadlineMs) == POLLIN);
        CHECK(next_text(*session) == std::to_string(i));
    }
    CHECK(polled(*session, 0) == 0);
    ServiceSession::Event event;
    CHECK(session->next_event(event, Wait::Never) == CS_ERR_TRY_AGAIN);
}

TEST_CASE("the service manager has the descriptor before the program does, and none for nothing") {
    Manager manager;
    EchoDaemon daemon;
    CHECK(open()->close() == CS_OK);
    CHECK(manager.next().empty());
    const auto session = open();
    CHECK(session->event_fd().value_or(-1) >= 0);
    CHECK(manager.next() == "FDSTORE=1\nFDNAME=client");
    CHECK(manager.descriptors() == 2);
    CHECK(session->event_fd().value_or(-1) >= 0);
    CHECK(asked(*session, "ehello") == "hello");
    CHECK(manager.next().empty());
}

TEST_CASE("who comes back is kept at once") {
    for (const bool is_polled : {false, true}) {
        Manager manager;
        EchoDaemon daemon;
        const auto session = open(resuming());
        if (is_polled) CHECK(session->event_fd());
        CHECK(asked(*session, "ehello") == "hello");
        CHECK(manager.next() == "FDSTORE=1\nFDNAME=client");
        CHECK(manager.descriptors() == (is_polled ? 2 : 1));
        daemon.restart();
        CHECK(asked(*session, "ehello") == "hello");
        CHECK(manager.next() == "FDSTORE=1\nFDNAME=client");
        if (is_polled) CHECK(manager.next() == "FDSTORE=1\nFDNAME=client");
        CHECK(manager.next().empty());
    }
}

TEST_CASE("a session that asks for nothing has one connection, and ends with it") {
    EchoDaemon daemon;
    CHECK(open()->close() == CS_OK);
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{kDeadlineMs};
    bool has_ended = false;
    while (!has_ended && std::chrono::steady_clock::now() < end) {
        daemon.run([&] { has_ended = !daemon.ended.empty(); });
    }
    CHECK(daemon.ended == std::vector{session::End::Gone});
    const auto asker = open();
    CHECK(asked(*asker, "ehello") == "hello");
    CHECK(asker->close() == CS_OK);
    daemon.run([&] { CHECK(daemon.ended.back() == session::End::Goodbye); });
}

TEST_CASE("events that come before the second connection wait for it, also over a restart") {
    EchoDaemon daemon;
    const auto session = open(resuming());
    CHECK(asked(*session, "nfirst") == "");
    CHECK(next_text(*session) == "first");
    const auto other = open(resuming());
    CHECK(asked(*other, "c") == "1");
    daemon.restart();
    CHECK(asked(*other, "c") == "2");
    CHECK(next_text(*other) == "s");  // Its subscription, and nothing of a restart.
}

TEST_CASE("a node that has stopped ends a session at once, and there is no new one") {
    EchoDaemon daemon;
    const auto session = open(resuming());
    const auto other = open(resuming());
    CHECK(polled(*session, 0) == 0);
    daemon.die();
    const auto start = std::chrono::steady_clock::now();
    CHECK(polled(*session, kDeadlineMs) != 0);
    CHECK(other->event_fd().error() == CS_ERR_LIBRARY);
    CHECK(session->call(bytes_of("e")).error() == CS_ERR_LIBRARY);
    CHECK(ServiceSession::open({.socket = "cmap"}).error() == CS_ERR_LIBRARY);
    CHECK(session->close() == CS_ERR_LIBRARY);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{4});
}

TEST_CASE("without a resume time the end of the daemon is the end of the session") {
    EchoDaemon daemon;
    const auto session = open();
    daemon.restart();
    CHECK(session->call(bytes_of("e")).error() == CS_ERR_LIBRARY);
    ServiceSession::Event event;
    CHECK(session->next_event(event, Wait::ForEvent) == CS_ERR_LIBRARY);
}

TEST_CASE("after a restart the session has its id, its subscriptions and its descriptor") {
    for (const bool kept : {false, true}) {
        CAPTURE(kept);
        EchoDaemon daemon;
        const auto session = open(resuming());
        const int fd = session->event_fd().value_or(-1);
        CHECK(asked(*session, "c") == "1");
        daemon.restart(kept);
        REQUIRE((polled(*session, kDeadlineMs) & POLLIN) != 0);
        // A program that was woken and dispatches one event must not be held up.
        CHECK(next_text(*session) == "(resumed)");
        CHECK(session->event_fd().value_or(-1) == fd);
        REQUIRE((polled(*session, kDeadlineMs) & POLLIN) != 0);
        CHECK(next_text(*session) == "s");
        CHECK(polled(*session, 0) == 0);
        CHECK(asked(*session, "c") == "2");
        daemon.run([&] { CHECK(daemon.opened.back().came_back); });
    }
}

TEST_CASE("a hundred restarts under calls double and lose nothing") {
    EchoDaemon daemon;
    const auto session = open(resuming());
    std::atomic<int> answered = 0;
    std::atomic<bool> stop = false;
    std::atomic<int> failures = 0;
    std::thread asker([&] {
        while (!stop && failures == 0) {
            const auto counted = session->call(bytes_of("c"));
            if (!counted || text_of(*counted) != std::to_string(answered + 1)) ++failures;
            ++answered;
        }
    });
    std::thread listener([&] {
        ServiceSession::Event event;
        while (session->next_event(event, Wait::ForEvent) == CS_OK) {
        }
    });
    for (int restart = 0; restart < 100; ++restart) {
        const int before = answered;
        while (answered < before + 3 && failures == 0) {
            std::this_thread::yield();
        }
        daemon.restart(restart % 2 == 0);
    }
    stop = true;
    asker.join();
    CHECK(failures == 0);
    CHECK(session->close() == CS_OK);  // Which ends the listener's waiting.
    listener.join();
}

TEST_CASE("a thread that waits for a reply can be cancelled, and the next call is answered") {
    EchoDaemon daemon;
    const auto session = open(resuming());
    ServiceSession* const raw = session.get();
    pthread_t thread{};
    REQUIRE(::pthread_create(
                &thread, nullptr,
                [](void* of) -> void* {
                    (void)static_cast<ServiceSession*>(of)->call(bytes_of("w"));
                    return nullptr;
                },
                raw) == 0);
    // Until the request is there.
    for (bool there = false; !there;) {
        daemon.run([&] { there = daemon.server().counters().requests > 0; });
    }
    REQUIRE(::pthread_cancel(thread) == 0);
    REQUIRE(::pthread_join(thread, nullptr) == 0);
    std::thread answer([&] {
        daemon.run([&] { daemon.server().reply(daemon.server().sessions()[0].id, 1, 1); });
    });
    CHECK(asked(*session, "enext") == "next");
    answer.join();
}

TEST_CASE("several threads call at once") {
    EchoDaemon daemon;
    const auto session = open();
    std::atomic<int> failures = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 200; ++i) {
                const std::string text = std::to_string(t) + "." + std::to_string(i);
                const auto answer = session->call(bytes_of("e" + text));
                if (!answer || text_of(*answer) != text) ++failures;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(failures == 0);
}

TEST_CASE("dispatching follows the flags") {
    std::atomic<bool> finalized = false;
    int waiting = 0;
    int ran = 0;
    const auto take = [&](Wait wait) {
        if (waiting > 0) return --waiting, CS_OK;
        return wait == Wait::Never ? CS_ERR_TRY_AGAIN : CS_ERR_LIBRARY;
    };
    const auto dispatch = [&](int flags, int events) {
        waiting = events;
        ran = 0;
        return client::dispatch_events(static_cast<cs_dispatch_flags_t>(flags), finalized, take,
                                       [&] { ++ran; });
    };
    CHECK(dispatch(CS_DISPATCH_ONE, 3) == CS_OK);
    CHECK(ran == 1);
    CHECK(dispatch(CS_DISPATCH_ALL, 3) == CS_OK);
    CHECK(ran == 3);
    CHECK(dispatch(CS_DISPATCH_ALL, 0) == CS_OK);
    CHECK(dispatch(CS_DISPATCH_ONE_NONBLOCKING, 0) == CS_ERR_TRY_AGAIN);
    CHECK(dispatch(CS_DISPATCH_ONE_NONBLOCKING, 2) == CS_OK);
    CHECK(ran == 1);
    CHECK(dispatch(CS_DISPATCH_BLOCKING, 3) == CS_ERR_LIBRARY);
    CHECK(ran == 3);
    CHECK(dispatch(0, 1) == CS_ERR_INVALID_PARAM);
    CHECK(dispatch(5, 1) == CS_ERR_INVALID_PARAM);
    waiting = 3;
    ran = 0;
    CHECK(client::dispatch_events(CS_DISPATCH_ALL, finalized, take, [&] {
              ++ran;
              finalized = true;
          }) == CS_OK);
    CHECK(ran == 1);
}

}  // namespace
