#include "common/zmtp/server.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <vector>

#include "common/os/clock.hpp"
#include "common/os/identity.hpp"
#include "tests/unit/common/zmtp/support.hpp"

using namespace zmtp;

namespace {

// An ordinary user who connects as often as he can up to `connections`, and on each begins a
// message, says `bytes` of it, and never ends it. Lives until it is destroyed.
class Stranger {
  public:
    Stranger(const std::string& path, std::size_t connections, std::size_t bytes)
        : process_(::fork()) {
        REQUIRE(process_ >= 0);
        if (process_ == 0) run(path, connections, bytes);
    }
    ~Stranger() {
        (void)::kill(process_, SIGKILL);
        (void)::waitpid(process_, nullptr, 0);
    }
    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;

  private:
    [[noreturn]] static void run(const std::string& path, std::size_t connections,
                                 std::size_t bytes) {
        (void)::signal(SIGPIPE, SIG_IGN);
        if (!os::become({.uid = 65534, .gid = 65534})) ::_exit(1);
        std::vector<Connection> all;
        while (all.size() < connections) {
            auto socket = connect_to(path);
            if (!socket && socket.error().code != EAGAIN) ::_exit(2);
            if (!socket) continue;  // The backlog is full.
            all.emplace_back(std::move(*socket), Side::Connecting, Limits{});
            (void)all.back().flush();
            begin_message(all.back().fd(), bytes);
        }
        for (;;)
            ::pause();
    }
    static void begin_message(int fd, std::size_t bytes) {
        std::vector<std::byte> begun(9 + bytes);
        begun[0] = std::byte{0x02};  // A long frame …
        begun[6] = std::byte{0x40};  // … of 4 MiB.
        std::size_t written = 0;
        while (written < begun.size()) {
            const ssize_t wrote = ::write(fd, begun.data() + written, begun.size() - written);
            if (wrote < 0 && errno != EAGAIN) return;  // Turned away.
            if (wrote > 0) written += static_cast<std::size_t>(wrote);
        }
    }

    pid_t process_;
};

struct Served {
    Served() {
        std::filesystem::permissions(folder.file(""), std::filesystem::perms(0755));
        auto made = os::EventLoop::create();
        REQUIRE(made);
        loop = std::make_unique<os::EventLoop>(std::move(*made));
        auto listener = Listener::listen(folder.file("server"));
        REQUIRE(listener);
        auto created = Server::create(*loop, std::move(*listener), {},
                                      {.connected =
                                           [this](auto id, const auto&) {
                                               connected = id;
                                               return true;
                                           },
                                       .message =
                                           [this](auto id, const base::Buffer&) {
                                               last = id;
                                               ++messages;
                                           },
                                       .closed = [](auto, const std::string&) {},
                                       .process_ended = [this](auto id) { ended.push_back(id); },
                                       .keep =
                                           [this](std::span<const int> fds) {
                                               kept.push_back(fds.size());
                                               for (const int fd : fds) {
                                                   manager.emplace_back(::dup(fd));
                                               }
                                           }});
        REQUIRE(created);
        server = std::move(*created);
        loop->at_turn_end([this] { server->flush(); });
    }

    // Turns the loop until then, for as long as patience lasts.
    template <class Condition>
    bool turn_until(Condition condition) {
        const auto deadline =
            os::now() + std::chrono::duration_cast<base::Duration>(test::kPatience);
        while (!condition()) {
            if (os::now() > deadline) return false;
            REQUIRE(loop->turn(std::chrono::milliseconds(20)));
        }
        return true;
    }

    // Whether one more client, of our own user, is served.
    bool serves_us() {
        auto socket = connect_to(folder.file("server"));
        REQUIRE(socket);
        Connection client(std::move(*socket), Side::Connecting, {});
        const base::Buffer hello = test::pattern(10);
        REQUIRE(client.send(hello));
        const int before = messages;
        return turn_until([&] {
            (void)client.flush();
            (void)client.receive([](const base::Buffer&) {});
            return messages > before;
        });
    }

    test::TemporaryFolder folder;
    std::unique_ptr<os::EventLoop> loop;
    std::unique_ptr<Server> server;
    int messages = 0;
    ServerConnectionId connected{};         // The last one.
    ServerConnectionId last{};              // Of whom a message came.
    std::vector<ServerConnectionId> ended;  // Whose process did.
    std::vector<std::size_t> kept;          // How many at once.
    std::vector<os::UniqueFd> manager;      // Has them.
};

// A process with two connections, which a child of it holds too.
class Parent {
  public:
    explicit Parent(const std::string& path) : process_(::fork()) {
        REQUIRE(process_ >= 0);
        if (process_ == 0) run(path);
        gate_.other.reset();
        pollfd watched{.fd = gate_.one.get(), .events = POLLIN, .revents = 0};
        const auto patience = std::chrono::milliseconds(test::kPatience).count();
        std::byte byte{};
        REQUIRE(::poll(&watched, 1, static_cast<int>(patience)) == 1);
        REQUIRE(::recv(gate_.one.get(), &byte, 1, 0) == 1);  // The child has them too.
    }
    ~Parent() {
        (void)::kill(-process_, SIGKILL);
        end();
    }
    Parent(const Parent&) = delete;
    Parent& operator=(const Parent&) = delete;

    // The child lives on.
    void end() const {
        (void)::kill(process_, SIGKILL);
        (void)::waitpid(process_, nullptr, 0);
    }

  private:
    [[noreturn]] void run(const std::string& path) {
        (void)::setpgid(0, 0);
        const auto one = connect_to(path);
        const auto other = connect_to(path);
        if (!one || !other) ::_exit(1);
        const std::byte byte{};
        if (::fork() == 0) (void)::send(gate_.other.get(), &byte, 1, MSG_NOSIGNAL);
        for (;;)
            ::pause();
    }

    test::SocketPair gate_ = test::socket_pair();
    pid_t process_;
};

}  // namespace

TEST_CASE("a user who connects without end keeps out nobody but himself") {
    if (::geteuid() != 0) return;  // Needs a second user.
    Served served;
    const Stranger stranger(served.folder.file("server"), Server::kConnectionsOfUserMax + 100, 0);
    CHECK(served.turn_until([&] { return served.server->turned_away() >= 100; }));
    CHECK(served.server->connections() == Server::kConnectionsOfUserMax);
    CHECK(served.serves_us());
}

TEST_CASE("nor does one who begins messages and never ends them; his memory is bounded") {
    if (::geteuid() != 0) return;
    Served served;
    const std::size_t each = std::size_t{2} << 20u;
    const std::size_t fit = Server::kBegunBytesOfUserMax / each;
    const Stranger stranger(served.folder.file("server"), fit + 10, each);
    CHECK(served.turn_until([&] { return served.server->turned_away() > 0; }));
    CHECK(served.server->connections() <= fit + 10);
    CHECK(served.serves_us());
}

TEST_CASE("a user's room is given back with his connections") {
    if (::geteuid() != 0) return;
    Served served;
    for (int round = 0; round < 2; ++round) {
        {
            const Stranger stranger(served.folder.file("server"), Server::kConnectionsOfUserMax, 0);
            CHECK(served.turn_until(
                [&] { return served.server->connections() == Server::kConnectionsOfUserMax; }));
        }
        CHECK(served.turn_until([&] { return served.server->connections() == 0; }));
    }
    CHECK(served.server->turned_away() == 0);
}

TEST_CASE("the end of a process is told of each of its connections, though a child holds them") {
    Served served;
    const Parent parent(served.folder.file("server"));
    REQUIRE(served.turn_until([&] { return served.server->connections() == 2; }));
    served.server->keep(served.connected);
    CHECK(served.kept == std::vector<std::size_t>{2});
    parent.end();
    CHECK(served.turn_until([&] { return served.ended.size() == 2; }));
    CHECK(served.server->connections() == 2);
}

TEST_CASE("who says nothing is told nothing, and the greeting comes with the first bytes") {
    Served served;
    const auto silent = connect_to(served.folder.file("server"));
    REQUIRE(silent);
    REQUIRE(served.turn_until([&] { return served.server->connections() == 1; }));
    CHECK(served.serves_us());
    std::array<std::byte, 64> greeting{};
    CHECK(::recv(silent->get(), greeting.data(), greeting.size(), MSG_DONTWAIT) == -1);

    // As libzmq, which says the rest when it has seen the other's.
    const auto own = encode_greeting();
    REQUIRE(::send(silent->get(), own.data(), 10, MSG_NOSIGNAL) == 10);
    std::size_t got = 0;
    CHECK(served.turn_until([&] {
        const ssize_t more = ::recv(silent->get(), greeting.data() + got, 64 - got, MSG_DONTWAIT);
        if (more > 0) got += static_cast<std::size_t>(more);
        return got == 64;
    }));
    CHECK(std::ranges::equal(greeting, own));
}

TEST_CASE("many that come at once are all taken, also when few come after them") {
    Served served;
    for (const std::size_t count : {1u, 200u, 1u, 3u}) {
        std::vector<os::UniqueFd> clients;
        while (clients.size() < count) {
            auto socket = connect_to(served.folder.file("server"));
            REQUIRE(socket);
            clients.push_back(std::move(*socket));
        }
        CHECK(served.turn_until([&] { return served.server->connections() == count; }));
        clients.clear();
        CHECK(served.turn_until([&] { return served.server->connections() == 0; }));
    }
}

TEST_CASE("the connections of a process are kept together, each once, and closed also then") {
    Served served;
    std::vector<Connection> clients;
    const auto connect = [&] {
        auto socket = connect_to(served.folder.file("server"));
        REQUIRE(socket);
        clients.emplace_back(std::move(*socket), Side::Connecting, Limits{.sends_early = true});
        REQUIRE(clients.back().send(test::pattern(10)));
        REQUIRE(clients.back().flush());
        const int before = served.messages;
        REQUIRE(served.turn_until([&] { return served.messages > before; }));
    };
    connect();
    connect();
    CHECK(served.kept.empty());
    served.server->keep(served.last);
    served.server->keep(served.last);
    CHECK(served.kept == std::vector<std::size_t>{2});
    connect();
    served.server->keep(served.last);
    CHECK(served.kept == std::vector<std::size_t>{2, 1});

    served.server->close(served.last);
    pollfd watched{.fd = clients.back().fd(), .events = POLLIN, .revents = 0};
    const auto patience = std::chrono::milliseconds(test::kPatience).count();
    REQUIRE(::poll(&watched, 1, static_cast<int>(patience)) == 1);
    CHECK((watched.revents & POLLHUP) != 0);
}

TEST_CASE("who opened a listener is looked at before anything is said to it") {
    const test::TemporaryFolder folder;
    auto listener = Listener::listen(folder.file("own"));
    REQUIRE(listener);
    const auto own = connect_to(folder.file("own"));
    REQUIRE(own);
    CHECK(check_listener(own->get()));
    if (::geteuid() != 0) return;

    std::filesystem::permissions(folder.file(""), std::filesystem::perms(0777));
    const std::string path = folder.file("foreign");
    const pid_t process = ::fork();
    REQUIRE(process >= 0);
    if (process == 0) {
        if (!os::become({.uid = 65534, .gid = 65534})) ::_exit(1);
        const auto opened = Listener::listen(path);
        for (;;)
            ::pause();
    }
    const auto deadline = std::chrono::steady_clock::now() + test::kPatience;
    auto foreign = connect_to(path);
    while (!foreign && std::chrono::steady_clock::now() < deadline) {
        foreign = connect_to(path);
    }
    REQUIRE(foreign);
    const auto checked = check_listener(foreign->get());
    REQUIRE_FALSE(checked);
    CHECK(checked.error().code == EACCES);
    CHECK(checked.error().text().find("uid 65534") != std::string::npos);
    (void)::kill(process, SIGKILL);
    (void)::waitpid(process, nullptr, 0);
}
