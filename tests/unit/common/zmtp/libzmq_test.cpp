// The engine against libzmq itself, in both roles: what these exchange, any ZeroMQ program can.
#include <doctest/doctest.h>

#include <thread>
#include <vector>
#include <zmq.hpp>

#include "common/zmtp/connection.hpp"
#include "common/zmtp/listener.hpp"
#include "tests/unit/common/zmtp/support.hpp"

using namespace zmtp;
using test::pattern;
using test::same;

namespace {

const std::vector<std::size_t> kSizes{0,    1,    64,     255,       256,      4096,
                                      8191, 8192, 70'000, 1u << 20u, 8u << 20u};
constexpr std::size_t kSmallCount = 20'000;

zmq::message_t message_of(const base::Buffer& bytes) {
    return {bytes.data(), bytes.size()};
}
bool same_as(const zmq::message_t& message, const base::Buffer& bytes) {
    return std::ranges::equal(std::span(message.data<std::byte>(), message.size()), bytes.bytes());
}

std::vector<base::Buffer> messages() {
    std::vector<base::Buffer> all;
    for (const std::size_t size : kSizes) {
        all.push_back(pattern(size, size + 3));
    }
    for (std::size_t i = 0; i < kSmallCount; ++i) {
        all.push_back(pattern(i % 200, i));
    }
    return all;
}

constexpr int kPatienceMs = 20'000;
void configure(zmq::socket_t& socket) {
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvtimeo, kPatienceMs);
    socket.set(zmq::sockopt::sndtimeo, kPatienceMs);
    socket.set(zmq::sockopt::sndhwm, 0);
    socket.set(zmq::sockopt::rcvhwm, 0);
}

// Echoes until `count` messages came and all went back.
void echo(Connection& connection, std::size_t count) {
    std::size_t came = 0;
    while (came < count || connection.wants_write()) {
        REQUIRE(test::wait_for({&connection}));
        const auto received = connection.receive([&](base::Buffer message) {
            ++came;
            REQUIRE(connection.send(message));
        });
        REQUIRE(received);
        REQUIRE(connection.flush());
    }
}

Limits roomy() {
    return {.queue_bytes_max = std::size_t{64} << 20u};
}

}  // namespace

TEST_CASE("a libzmq DEALER talks to our listening side") {
    const test::TemporaryFolder folder;
    auto listener = Listener::listen(folder.file("socket"));
    REQUIRE(listener);
    zmq::context_t context;
    zmq::socket_t dealer(context, zmq::socket_type::dealer);
    configure(dealer);
    dealer.connect("ipc://" + folder.file("socket"));

    const auto all = messages();
    for (const base::Buffer& message : all) {
        REQUIRE(dealer.send(message_of(message), zmq::send_flags::none));
    }
    pollfd poll{.fd = listener->fd(), .events = POLLIN, .revents = 0};
    REQUIRE(::poll(&poll, 1, kPatienceMs) == 1);
    auto accepted = listener->accept();
    REQUIRE(accepted);
    REQUIRE(*accepted);
    Connection connection(std::move((*accepted)->socket), Side::Listening, roomy());
    REQUIRE(connection.flush());
    echo(connection, all.size());
    for (const base::Buffer& message : all) {
        zmq::message_t back;
        REQUIRE(dealer.recv(back));
        REQUIRE(same_as(back, message));
    }
}

TEST_CASE("our connecting side talks to a libzmq ROUTER") {
    const test::TemporaryFolder folder;
    zmq::context_t context;
    zmq::socket_t router(context, zmq::socket_type::router);
    configure(router);
    router.bind("ipc://" + folder.file("socket"));
    auto socket = connect_to(folder.file("socket"));
    REQUIRE(socket);
    Connection connection(std::move(*socket), Side::Connecting, roomy());
    const auto all = messages();
    for (const base::Buffer& message : all) {
        REQUIRE(connection.send(message));
    }

    // libzmq's own thread reads and writes meanwhile; this one echoes what came so far.
    std::size_t echoed = 0;
    std::size_t came = 0;
    while (came < all.size()) {
        REQUIRE(connection.flush());
        zmq::message_t identity;
        zmq::message_t body;
        while (router.recv(identity, zmq::recv_flags::dontwait)) {
            REQUIRE(router.recv(body));
            REQUIRE(same_as(body, all[echoed++]));
            REQUIRE(router.send(identity, zmq::send_flags::sndmore));
            REQUIRE(router.send(body, zmq::send_flags::none));
        }
        const auto received =
            connection.receive([&](base::Buffer message) { REQUIRE(same(message, all[came++])); });
        REQUIRE(received);
        if (!*received) std::this_thread::yield();
    }
    CHECK(echoed == all.size());
}

TEST_CASE("libzmq sockets of other types are refused, and we by them") {
    const test::TemporaryFolder folder;
    auto listener = Listener::listen(folder.file("socket"));
    REQUIRE(listener);
    zmq::context_t context;
    for (const auto type : {zmq::socket_type::req, zmq::socket_type::pair, zmq::socket_type::sub}) {
        zmq::socket_t stranger(context, type);
        configure(stranger);
        stranger.connect("ipc://" + folder.file("socket"));
        pollfd poll{.fd = listener->fd(), .events = POLLIN, .revents = 0};
        REQUIRE(::poll(&poll, 1, kPatienceMs) == 1);
        auto accepted = listener->accept();
        REQUIRE(accepted);
        REQUIRE(*accepted);
        Connection connection(std::move((*accepted)->socket), Side::Listening, {});
        REQUIRE(connection.flush());
        base::Expected<bool, ConnectionError> received = true;
        while (received) {
            REQUIRE(test::wait_for({&connection}));
            received = connection.receive([](base::Buffer) { FAIL("no message was sent"); });
            if (received) REQUIRE(connection.flush());
        }
        CHECK(received.error() == ConnectionError::Protocol);
    }

    zmq::socket_t pull(context, zmq::socket_type::pull);
    configure(pull);
    pull.bind("ipc://" + folder.file("pull"));
    auto socket = connect_to(folder.file("pull"));
    REQUIRE(socket);
    Connection connection(std::move(*socket), Side::Connecting, {});
    REQUIRE(connection.flush());
    base::Expected<bool, ConnectionError> received = true;
    while (received) {
        REQUIRE(test::wait_for({&connection}));
        received = connection.receive([](base::Buffer) { FAIL("no message was sent"); });
    }
    CHECK(!connection.is_ready());
}

TEST_CASE("libzmq's heartbeats are answered") {
    const test::TemporaryFolder folder;
    auto listener = Listener::listen(folder.file("socket"));
    REQUIRE(listener);
    zmq::context_t context;
    zmq::socket_t dealer(context, zmq::socket_type::dealer);
    configure(dealer);
    dealer.set(zmq::sockopt::heartbeat_ivl, 20);
    dealer.set(zmq::sockopt::heartbeat_timeout, 200);
    dealer.connect("ipc://" + folder.file("socket"));
    pollfd poll{.fd = listener->fd(), .events = POLLIN, .revents = 0};
    REQUIRE(::poll(&poll, 1, kPatienceMs) == 1);
    auto accepted = listener->accept();
    REQUIRE(accepted);
    REQUIRE(*accepted);
    Connection connection(std::move((*accepted)->socket), Side::Listening, {});
    REQUIRE(connection.flush());

    // Each reply is a wake-up of ours; after so many of them an unanswered libzmq has long hung up.
    int pings = 0;
    while (pings < 30) {
        REQUIRE(test::wait_for({&connection}));
        REQUIRE(connection.receive([](base::Buffer) { FAIL("no message was sent"); }));
        if (connection.is_ready() && connection.wants_write()) ++pings;
        REQUIRE(connection.flush());
    }
    REQUIRE(dealer.send(message_of(pattern(9)), zmq::send_flags::none));
    echo(connection, 1);
    zmq::message_t back;
    REQUIRE(dealer.recv(back));
    CHECK(same_as(back, pattern(9)));
}
