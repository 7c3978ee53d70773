#include "common/os/event_loop.hpp"

#include <doctest/doctest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>

#include "common/os/clock.hpp"

namespace {

constexpr base::Duration kLong = std::chrono::seconds(20);

struct Pipe {
    Pipe() { REQUIRE(::pipe(ends.data()) == 0); }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        for (const int end : ends)
            ::close(end);
    }
    void write() const { REQUIRE(::write(ends[1], "x", 1) == 1); }

    std::array<int, 2> ends{};
};

}  // namespace

TEST_CASE("a turn waits for the nearest deadline, and calls those that have passed") {
    auto loop = *os::EventLoop::create();
    const base::Instant begin = os::now();
    int near = 0;
    int far = 0;
    loop.set_deadline([&] { return std::optional(begin + kLong); }, [&] { ++far; });
    loop.set_deadline([&]() -> std::optional<base::Instant> { return std::nullopt; },
                      [&] { ++far; });
    loop.set_deadline([&] { return std::optional(begin + std::chrono::milliseconds(5)); },
                      [&] { ++near; });
    REQUIRE(loop.turn(kLong));
    CHECK(os::now() >= begin + std::chrono::milliseconds(5));
    CHECK(os::now() < begin + kLong / 2);
    CHECK(near == 1);
    CHECK(far == 0);
}

TEST_CASE("a deadline that a callback sets for now is met by the next turn, which does not wait") {
    auto loop = *os::EventLoop::create();
    const Pipe pipe;
    std::optional<base::Instant> when;
    int passed = 0;
    loop.set_deadline([&] { return when; },
                      [&] {
                          ++passed;
                          when.reset();
                      });
    REQUIRE(loop.add(pipe.ends[0], EPOLLIN, [&](std::uint32_t) {
        loop.remove(pipe.ends[0]);
        when = os::now();
    }));
    pipe.write();
    const base::Instant begin = os::now();
    REQUIRE(loop.turn(kLong));
    REQUIRE(loop.turn(kLong));
    CHECK(passed == 1);
    CHECK(os::now() < begin + kLong / 2);
}

TEST_CASE("a deadline that passes while callbacks run is met in the same turn") {
    auto loop = *os::EventLoop::create();
    const Pipe pipe;
    const base::Instant when = os::now() + std::chrono::milliseconds(20);
    int passed = 0;
    loop.set_deadline([&] { return std::optional(when); }, [&] { ++passed; });
    REQUIRE(loop.add(pipe.ends[0], EPOLLIN, [&](std::uint32_t) {
        while (os::now() < when) {
        }
    }));
    pipe.write();
    REQUIRE(loop.turn(kLong));
    CHECK(passed == 1);
}

TEST_CASE(
    "what is said at the end of a turn comes after its callbacks, what is deferred before it") {
    auto loop = *os::EventLoop::create();
    const Pipe pipe;
    std::string order;
    loop.at_turn_end([&] { order += "e"; });
    REQUIRE(loop.add(pipe.ends[0], EPOLLIN, [&](std::uint32_t) {
        loop.remove(pipe.ends[0]);
        loop.defer([&] { order += "d"; });
        order += "c";
    }));
    pipe.write();
    REQUIRE(loop.turn(kLong));
    CHECK(order == "cde");
}
