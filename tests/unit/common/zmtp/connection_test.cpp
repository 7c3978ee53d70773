#include "common/zmtp/connection.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>
#include <vector>

#include "tests/unit/common/zmtp/support.hpp"

using namespace zmtp;
using test::pattern;
using test::same;

namespace {

struct Ends {
    Connection listening;
    Connection connecting;
};

Ends make_ends(const Limits& limits = {}) {
    test::SocketPair pair = test::socket_pair();
    return {.listening = Connection(std::move(pair.one), Side::Listening, limits),
            .connecting = Connection(std::move(pair.other), Side::Connecting, limits)};
}

// Moves bytes both ways until `done`.
template <class Done>
void run(Ends& ends, std::vector<base::Buffer>& at_listening,
         std::vector<base::Buffer>& at_connecting, Done done) {
    while (!done()) {
        REQUIRE(ends.listening.flush());
        REQUIRE(ends.connecting.flush());
        if (done()) return;
        REQUIRE(test::wait_for({&ends.listening, &ends.connecting}));
        REQUIRE(
            ends.listening.receive([&](base::Buffer m) { at_listening.push_back(std::move(m)); }));
        REQUIRE(ends.connecting.receive(
            [&](base::Buffer m) { at_connecting.push_back(std::move(m)); }));
    }
}

void write_raw(const os::UniqueFd& socket, std::span<const std::byte> bytes) {
    REQUIRE(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
}

std::vector<std::byte> bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

base::Expected<bool, ConnectionError> receive_nothing(Connection& connection) {
    return connection.receive([](base::Buffer) { FAIL("no message was sent"); });
}

}  // namespace

TEST_CASE("messages queued before the handshake arrive in order, both ways, of every size") {
    Ends ends = make_ends();
    CHECK(!ends.listening.is_ready());
    std::vector<base::Buffer> sent;
    for (const std::size_t size :
         {0u, 1u, 64u, 255u, 256u, 4095u, 4096u, 65536u, 300'000u, 8u << 20u}) {
        sent.push_back(pattern(size, size + 1));
        REQUIRE(ends.connecting.send(sent.back()));
        REQUIRE(ends.listening.send(sent.back().slice(0, size / 3), sent.back().slice(size / 3)));
    }
    std::vector<base::Buffer> up;
    std::vector<base::Buffer> down;
    run(ends, up, down, [&] { return up.size() == sent.size() && down.size() == sent.size(); });
    for (std::size_t i = 0; i < sent.size(); ++i) {
        CHECK(same(up[i], sent[i]));
        CHECK(same(down[i], sent[i]));
    }
    CHECK(ends.listening.queued_bytes() == 0);
    CHECK(!ends.connecting.wants_write());
}

TEST_CASE("a connection to one of ours costs one round trip, to another peer it waits for READY") {
    for (const bool is_early : {true, false}) {
        CAPTURE(is_early);
        Ends ends = make_ends({.sends_early = is_early});
        REQUIRE(ends.connecting.send(pattern(100)));
        REQUIRE(ends.connecting.flush());
        CHECK(ends.connecting.wants_write() == false);
        int up = 0;
        REQUIRE(ends.listening.receive([&](const base::Buffer& message) {
            ++up;
            CHECK(same(message, pattern(100)));
        }));
        CHECK(up == (is_early ? 1 : 0));
        REQUIRE(ends.listening.send(pattern(200)));
        REQUIRE(ends.listening.flush());
        int down = 0;
        REQUIRE(ends.connecting.receive([&](const base::Buffer& message) {
            ++down;
            CHECK(same(message, pattern(200)));
        }));
        CHECK(down == 1);
        CHECK(ends.connecting.is_ready());
        CHECK(ends.connecting.wants_write() == !is_early);
    }
}

TEST_CASE("the handshake alone leaves the message that came with it") {
    Ends ends = make_ends({.sends_early = true});
    REQUIRE(ends.connecting.send(pattern(100)));
    REQUIRE(ends.connecting.flush());
    CHECK(*ends.listening.read_some(kGreetingBytes) == kGreetingBytes);
    CHECK(*ends.listening.go_on_with_handshake() == false);
    REQUIRE(ends.listening.read_some(1000));
    CHECK(*ends.listening.go_on_with_handshake());
    CHECK(*ends.listening.go_on_with_handshake());
    CHECK(same(**ends.listening.next_message(), pattern(100)));
}

TEST_CASE("a stranger hears why after what was sent early") {
    test::SocketPair pair = test::socket_pair();
    Connection connection(std::move(pair.one), Side::Connecting, {.sends_early = true});
    REQUIRE(connection.send(pattern(3)));
    REQUIRE(connection.flush());
    write_raw(pair.other, bytes_of("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(receive_nothing(connection).error() == ConnectionError::Protocol);
    std::array<char, 512> heard{};
    const ssize_t size = ::recv(pair.other.get(), heard.data(), heard.size(), 0);
    REQUIRE(size > 0);
    const std::string_view text(heard.data(), static_cast<std::size_t>(size));
    const auto message = text.find(std::string_view("\0\3", 2), kGreetingBytes);
    CHECK(message != std::string_view::npos);
    CHECK(text.find("\5ERROR") > message);
}

TEST_CASE("a peer that does not read makes send refuse, and nothing is lost") {
    Ends ends = make_ends({.message_bytes_max = 1u << 20u, .queue_bytes_max = 1u << 20u});
    std::vector<base::Buffer> up;
    std::vector<base::Buffer> down;
    run(ends, up, down, [&] { return ends.listening.is_ready() && ends.connecting.is_ready(); });

    std::size_t count = 0;
    const base::Buffer message = pattern(1000);
    while (ends.connecting.send(message)) {
        ++count;
        REQUIRE(ends.connecting.flush());
        REQUIRE(count < 100'000);
    }
    CHECK(ends.connecting.queued_bytes() <= 1u << 20u);
    CHECK(ends.connecting.wants_write());
    run(ends, up, down, [&] { return up.size() == count; });
    CHECK(ends.connecting.send(message));
}

TEST_CASE("reading in small steps leaves the rest in the kernel") {
    Ends ends = make_ends();
    std::vector<base::Buffer> up;
    std::vector<base::Buffer> down;
    run(ends, up, down, [&] { return ends.listening.is_ready() && ends.connecting.is_ready(); });
    REQUIRE(ends.listening.send(pattern(10)));
    REQUIRE(ends.listening.send(pattern(10, 1)));
    REQUIRE(ends.listening.flush());

    CHECK(*ends.connecting.read_some(23) == 23);  // All but the last byte.
    CHECK(same(**ends.connecting.next_message(), pattern(10)));
    CHECK(!*ends.connecting.next_message());
    CHECK(test::wait_for({&ends.connecting}));
    CHECK(*ends.connecting.read_some(1) == 1);
    CHECK(same(**ends.connecting.next_message(), pattern(10, 1)));
    CHECK(*ends.connecting.read_some(1) == 0);
}

TEST_CASE("a descriptor comes before or with the message after it, to who takes one") {
    for (const bool is_taken : {true, false}) {
        CAPTURE(is_taken);
        Ends ends = make_ends({.takes_descriptor = is_taken});
        std::vector<base::Buffer> up;
        std::vector<base::Buffer> down;
        run(ends, up, down,
            [&] { return ends.listening.is_ready() && ends.connecting.is_ready(); });
        std::array<int, 2> pipe{};
        REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
        const os::UniqueFd reading(pipe[0]);
        struct stat sent {};
        REQUIRE(::fstat(pipe[1], &sent) == 0);

        REQUIRE(ends.listening.send(pattern(300'000)));
        ends.listening.attach(os::UniqueFd(pipe[1]));
        REQUIRE(ends.listening.send(pattern(10, 1)));
        run(ends, up, down, [&] { return down.size() == 2; });
        CHECK(same(down[0], pattern(300'000)));
        CHECK(same(down[1], pattern(10, 1)));
        os::UniqueFd taken = ends.connecting.take_descriptor();
        REQUIRE(taken.is_open() == is_taken);
        struct stat came {};
        if (is_taken) {
            REQUIRE(::fstat(taken.get(), &came) == 0);
            CHECK(came.st_ino == sent.st_ino);
        }
        CHECK(!ends.connecting.take_descriptor().is_open());
        taken.reset();
        // Nobody has it any more.
        std::byte byte{};
        CHECK(::read(reading.get(), &byte, 1) == 0);
    }
}

TEST_CASE("a stranger is told why and refused") {
    struct Case {
        std::string_view name;
        std::vector<std::byte> bytes;
    };
    const auto greeting = encode_greeting();
    const auto router = encode_ready(Side::Listening);
    std::vector<std::byte> wrong_type(greeting.begin(), greeting.end());
    wrong_type.insert(wrong_type.end(), router.begin(), router.end());
    const std::vector<Case> cases{{"HTTP", bytes_of("GET / HTTP/1.1\r\n\r\n")},
                                  {"a ROUTER to a ROUTER", wrong_type}};
    for (const Case& stranger : cases) {
        CAPTURE(stranger.name);
        test::SocketPair pair = test::socket_pair();
        Connection connection(std::move(pair.one), Side::Listening, {});
        write_raw(pair.other, stranger.bytes);
        const auto received = receive_nothing(connection);
        REQUIRE(!received);
        CHECK(received.error() == ConnectionError::Protocol);
        CHECK(!connection.reason().empty());

        std::array<char, 512> answer{};
        const ssize_t size = ::recv(pair.other.get(), answer.data(), answer.size(), 0);
        REQUIRE(size > 0);
        const std::string_view text(answer.data(), static_cast<std::size_t>(size));
        CHECK(text.find("\5ERROR") != std::string_view::npos);
    }
}

TEST_CASE("PING is answered with its context") {
    test::SocketPair pair = test::socket_pair();
    Connection connection(std::move(pair.one), Side::Listening, {});
    write_raw(pair.other, encode_greeting());
    write_raw(pair.other, encode_ready(Side::Connecting));
    write_raw(pair.other, bytes_of(std::string_view("\4\x0a\4PING\0\1abc", 12)));
    REQUIRE(receive_nothing(connection));
    CHECK(connection.is_ready());
    REQUIRE(connection.flush());
    std::array<char, 512> answer{};
    const ssize_t size = ::recv(pair.other.get(), answer.data(), answer.size(), 0);
    REQUIRE(size > 0);
    CHECK(std::string_view(answer.data(), static_cast<std::size_t>(size))
              .ends_with("\4\x08\4PONGabc"));
}

TEST_CASE("the end of the peer is Closed for reader and writer, after what it sent") {
    Ends ends = make_ends();
    std::vector<base::Buffer> up;
    std::vector<base::Buffer> down;
    run(ends, up, down, [&] { return ends.listening.is_ready() && ends.connecting.is_ready(); });
    REQUIRE(ends.connecting.send(pattern(5)));
    REQUIRE(ends.connecting.flush());
    { const Connection gone = std::move(ends.connecting); }

    REQUIRE(ends.listening.send(pattern(5)));
    CHECK(ends.listening.flush().error() == ConnectionError::Closed);
    REQUIRE(ends.listening.receive([&](base::Buffer m) { up.push_back(std::move(m)); }));
    CHECK(up.size() == 1);
    CHECK(receive_nothing(ends.listening).error() == ConnectionError::Closed);
}
