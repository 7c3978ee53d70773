// A daemon that is told by another one, over that one's restarts.
#include "common/session/watcher.hpp"

#include <doctest/doctest.h>

#include "tests/unit/common/session/echo_daemon.hpp"

namespace {

base::Buffer bytes_of(std::string_view text) {
    return base::Buffer::copy_of(std::as_bytes(std::span(text)));
}

TEST_CASE("a watcher subscribes, is told, and comes back after each restart") {
    EchoDaemon daemon;
    auto loop = *os::EventLoop::create();
    int subscribed = 0;
    int lost = 0;
    std::vector<std::string> told;
    session::Watcher watcher(
        loop, {.path = daemon.path(), .subscription = bytes_of("s")},
        {.subscribed = [&](const base::Buffer&) { ++subscribed; },
         .event =
             [&](const base::Buffer& payload) {
                 told.emplace_back(reinterpret_cast<const char*>(payload.data()), payload.size());
             },
         .lost = [&] { ++lost; }});
    const auto turn_until = [&](auto condition) {
        const auto end = std::chrono::steady_clock::now() + zmtp::test::kPatience;
        while (!condition()) {
            REQUIRE(std::chrono::steady_clock::now() < end);
            REQUIRE(loop.turn(std::chrono::milliseconds{100}));
        }
    };
    for (int life = 1; life <= 3; ++life) {
        turn_until([&] { return subscribed == life && told.size() == std::size_t(life); });
        CHECK(watcher.is_subscribed());
        CHECK(told.back() == "s");
        daemon.restart();
        turn_until([&] { return lost == life; });
    }
    daemon.die();
    turn_until([&] { return !watcher.is_subscribed(); });
}

TEST_CASE("a daemon that refuses the subscription is asked again and again") {
    EchoDaemon daemon;
    auto loop = *os::EventLoop::create();
    session::Watcher watcher(loop, {.path = daemon.path(), .subscription = bytes_of("f")},
                             {.subscribed = [](const base::Buffer&) { FAIL("it refuses"); },
                              .event = [](const base::Buffer&) {},
                              .lost = [] {}});
    const auto end = std::chrono::steady_clock::now() + zmtp::test::kPatience;
    for (std::size_t asked = 0; asked < 3;) {
        REQUIRE(std::chrono::steady_clock::now() < end);
        REQUIRE(loop.turn(std::chrono::milliseconds{100}));
        daemon.run([&] { asked = daemon.opened.size(); });
    }
    CHECK_FALSE(watcher.is_subscribed());
}

}  // namespace
