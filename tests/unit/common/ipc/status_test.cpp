#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "common/ipc/status_client.hpp"
#include "common/ipc/status_server.hpp"
#include "common/os/unique_fd.hpp"

namespace {

using ipc::StatusError;
using ipc::StatusServer;
using nlohmann::json;

struct TemporaryFolder {
    TemporaryFolder() { REQUIRE(::mkdtemp(name.data()) != nullptr); }
    ~TemporaryFolder() {
        (void)::unlink(socket().c_str());
        (void)::rmdir(name.c_str());
    }
    [[nodiscard]] std::string socket() const { return name + "/ringd.status"; }

    std::string name = "/tmp/halo-ipc-XXXXXX";
};

os::EventLoop make_loop() {
    auto loop = os::EventLoop::create();
    REQUIRE(loop);
    return std::move(*loop);
}

// Runs the server's loop in this thread while `client` runs in another one.
template <class Client>
auto while_serving(os::EventLoop& loop, Client client) {
    std::optional<decltype(client())> result;
    std::atomic<bool> is_done = false;
    std::thread thread([&] {
        result = client();
        is_done = true;
    });
    while (!is_done) {
        REQUIRE(loop.turn(std::chrono::milliseconds{10}));
    }
    thread.join();
    return std::move(*result);
}

struct Fixture {
    explicit Fixture(StatusServer::Rule may_get = {}, StatusServer::Rule may_do = {})
        : loop(make_loop()) {
        auto created = StatusServer::create(loop, {.daemon = "ringd",
                                                   .path = folder.socket(),
                                                   .listener = {},
                                                   .may_get = std::move(may_get),
                                                   .may_do = std::move(may_do)});
        REQUIRE(created);
        server = std::move(*created);
        server->on_get("status", [] { return json{{"members", {1, 2, 3}}}; });
        server->on_do("debug", [](const json& value) -> base::Expected<json, std::string> {
            if (!value.is_boolean()) return base::fail(std::string("debug is true or false"));
            return value;
        });
    }

    auto ask(const json& request) {
        return while_serving(loop, [&] { return ipc::ask_status(folder.socket(), request); });
    }

    TemporaryFolder folder;
    os::EventLoop loop;
    std::unique_ptr<StatusServer> server;
};

}  // namespace

TEST_CASE("a question is answered with its value") {
    Fixture fixture;
    const auto answer = fixture.ask({{"get", "status"}});
    REQUIRE(answer);
    CHECK(answer->dump() == R"({"members":[1,2,3]})");
}

TEST_CASE("help lists what can be asked") {
    Fixture fixture;
    const auto answer = fixture.ask({{"get", "help"}});
    REQUIRE(answer);
    CHECK(answer->dump() == R"({"do":["debug"],"get":["help","status"]})");
}

TEST_CASE("a command gets its value, and its error comes back as text") {
    Fixture fixture;
    CHECK(fixture.ask({{"do", "debug"}, {"value", true}}) == json(true));
    const auto refused = fixture.ask({{"do", "debug"}, {"value", "yes"}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().cause == StatusError::Cause::Refused);
    CHECK(refused.error().text.ends_with("debug is true or false"));
}

TEST_CASE("what is no request is answered with an error, whatever it is") {
    Fixture fixture;
    for (const json& request :
         {json("text"), json(7), json::array(), json{{"get", 1}}, json{{"get", "nonsense"}},
          json{{"do", "nonsense"}}, json::object()}) {
        CAPTURE(request.dump());
        const auto answer = fixture.ask(request);
        REQUIRE_FALSE(answer);
        CHECK(answer.error().cause == StatusError::Cause::Refused);
    }
    CHECK(fixture.server->counters().malformed == 7);
}

TEST_CASE("the caller is who the kernel says, and the rules are asked with it") {
    ipc::Peer seen;
    Fixture fixture([&seen](const ipc::Peer& peer) {
        seen = peer;
        return true;
    });
    CHECK(fixture.ask({{"get", "status"}}));
    CHECK(seen == ipc::Peer{.uid = ::geteuid(), .gid = ::getegid(), .pid = ::getpid()});
}

TEST_CASE("reading and doing are refused apart from each other") {
    Fixture fixture([](const ipc::Peer&) { return true; }, [](const ipc::Peer&) { return false; });
    CHECK(fixture.ask({{"get", "status"}}));
    const auto refused = fixture.ask({{"do", "debug"}, {"value", true}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().cause == StatusError::Cause::NoPermission);
    CHECK(fixture.server->counters().refused == 1);
}

TEST_CASE("a daemon that does not run is told apart from one that does not answer") {
    const TemporaryFolder folder;
    auto answer = ipc::ask_status(folder.socket(), {{"get", "status"}});
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cause == StatusError::Cause::NotRunning);

    Fixture silent;  // Its loop never turns.
    answer =
        ipc::ask_status(silent.folder.socket(), {{"get", "status"}}, std::chrono::milliseconds{50});
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cause == StatusError::Cause::NoAnswer);
}

TEST_CASE("many questions at once are all answered, more than one turn takes") {
    Fixture fixture;
    constexpr int kClients = 25;
    constexpr int kRequests = ipc::kStatusQueuedMax / 2;  // Of each, and none is dropped.
    std::vector<ipc::ZmqSocket> sockets;
    for (int client = 0; client < kClients; ++client) {
        auto socket = ipc::ZmqSocket::create(ipc::ZmqSocket::Kind::Dealer,
                                             {.queued_max = 100, .bytes_max = 65536});
        REQUIRE(socket);
        REQUIRE(socket->connect(fixture.folder.socket()));
        for (int i = 0; i < kRequests; ++i) {
            CHECK(socket->send({R"({"get": "status"})"}) == true);
        }
        sockets.push_back(std::move(*socket));
    }
    const int answers = while_serving(fixture.loop, [&] {
        int count = 0;
        for (ipc::ZmqSocket& socket : sockets) {
            for (int i = 0; i < kRequests; ++i) {
                const auto received = socket.receive(std::chrono::seconds{10});
                if (received && received->has_value()) ++count;
            }
        }
        return count;
    });
    CHECK(answers == kClients * kRequests);
}

TEST_CASE("a listener that was handed down serves, and outlives the server") {
    const TemporaryFolder folder;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(static_cast<char*>(address.sun_path), folder.socket().c_str());
    const os::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(::listen(listener.get(), 8) == 0);

    for (int life = 0; life < 2; ++life) {
        os::EventLoop loop = make_loop();
        auto server = StatusServer::create(loop, {.daemon = "ringd",
                                                  .path = folder.socket(),
                                                  .listener = listener.get(),
                                                  .may_get = {},
                                                  .may_do = {}});
        REQUIRE(server);
        (*server)->on_get("life", [life] { return life; });
        const auto answer = while_serving(loop, [&] {
            return ipc::ask_status(folder.socket(), {{"get", "life"}});
        });
        REQUIRE(answer);
        CHECK(*answer == life);
    }
}

TEST_CASE("the peer's address is read only in the form that libzmq gives") {
    CHECK(ipc::parse_peer_address("localhost:0:1000:4711") ==
          ipc::Peer{.uid = 0, .gid = 1000, .pid = 4711});
    for (const char* wrong : {"", "localhost", "localhost:0", "localhost:0:0", "localhost:0:0:",
                              "localhost:a:0:1", "localhost:0:0:1x", "127.0.0.1:5405"}) {
        CAPTURE(wrong);
        CHECK_FALSE(ipc::parse_peer_address(wrong));
    }
}
