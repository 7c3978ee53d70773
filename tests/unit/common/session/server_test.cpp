// What a daemon's sessions do with clients that keep to the protocol, and with those that don't:
// frames over real sockets, against a small service.
#include "common/session/server.hpp"

#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "common/zmtp/connection.hpp"
#include "tests/unit/common/os/manager.hpp"
#include "tests/unit/common/session/echo_daemon.hpp"

namespace {

namespace api = protocol::session;
using api::SessionId;

base::Buffer bytes_of(std::string_view text) {
    return base::Buffer::copy_of(std::as_bytes(std::span(text)));
}
std::string text_of(const base::Buffer& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// One connection of a client that sends what the test wants.
class Raw {
  public:
    explicit Raw(const std::string& path, std::uint32_t features = 0)
        : connection_(*zmtp::connect_to(path), zmtp::Side::Connecting,
                      zmtp::Limits{.features = features}) {}

    void send(const api::ClientFrame& frame) { send_bytes(api::encode(frame)); }
    void send_bytes(const base::Buffer& bytes) {
        REQUIRE(connection_.send(bytes));
        (void)connection_.flush();
    }

    // The next frame; nothing: the daemon closed the connection.
    std::optional<api::DaemonFrame> next() {
        for (;;) {
            (void)connection_.flush();
            auto message = connection_.next_message();
            if (!message) return std::nullopt;
            if (*message) return *api::decode_daemon_frame(**message);
            if (connection_.wants_write()) continue;
            REQUIRE(zmtp::test::wait_for({&connection_}));
            const auto read = connection_.read_some(65'536);
            if (!read) return std::nullopt;
        }
    }
    template <class Frame>
    Frame expect() {
        auto frame = next();
        REQUIRE(frame);
        REQUIRE(std::holds_alternative<Frame>(*frame));
        return std::get<Frame>(*frame);
    }

  private:
    zmtp::Connection connection_;
};

struct TwoConnections {
    explicit TwoConnections(const std::string& path, SessionId again = {},
                            std::uint32_t features = 0)
        : control(path, features), events(path, features) {
        control.send(api::Hello{.session = again, .pid = static_cast<std::uint32_t>(::getpid())});
        id = control.expect<api::Welcome>().session;
        events.send(api::EventsHere{.session = id});
        CHECK(events.expect<api::Welcome>().session == id);
    }
    std::string ask(std::uint64_t number, std::string_view text) {
        control.send(api::Request{.number = number, .payload = bytes_of(text)});
        const auto reply = control.expect<api::Reply>();
        CHECK(reply.number == number);
        return text_of(reply.payload);
    }

    Raw control;
    Raw events;
    SessionId id{};
};

TEST_CASE("a session asks on one connection and is told on the other") {
    EchoDaemon daemon;
    TwoConnections client(daemon.path());
    CHECK(client.ask(1, "ehello") == "hello");
    CHECK(client.ask(2, "nnews") == "");
    CHECK(text_of(client.events.expect<api::Event>().payload) == "news");
    daemon.run([&] {
        REQUIRE(daemon.opened.size() == 1);
        CHECK(daemon.opened[0].uid == ::geteuid());
        CHECK(daemon.opened[0].pid == static_cast<std::uint32_t>(::getpid()));
        CHECK_FALSE(daemon.opened[0].came_back);
        const auto sessions = daemon.server().sessions();
        REQUIRE(sessions.size() == 1);
        CHECK(sessions[0].requests == 2);
        CHECK(sessions[0].events == 1);
    });
    client.control.send(api::Goodbye{.number = 3});
    CHECK(client.control.expect<api::Reply>().number == 3);
    CHECK_FALSE(client.control.next());
    CHECK_FALSE(client.events.next());
    daemon.run([&] { CHECK(daemon.ended == std::vector{session::End::Goodbye}); });
}

TEST_CASE("the service manager gets the connections when something is asked, else at once") {
    const std::string keeps = "FDSTORE=1\nFDNAME=client";
    for (const bool is_asked : {false, true}) {
        CAPTURE(is_asked);
        Manager manager;
        EchoDaemon daemon;
        const TwoConnections client(daemon.path(), {}, is_asked ? api::kKeptIfAsked : 0);
        // Both at once where both were there.
        std::size_t kept = 0;
        while (manager.next() == keeps) {
            kept += manager.descriptors();
        }
        CHECK(kept == (is_asked ? 0 : 2));
    }
    const auto asks = [&](const api::ClientFrame& frame) {
        Manager manager;
        EchoDaemon daemon;
        TwoConnections client(daemon.path(), {}, api::kKeptIfAsked);
        client.control.send(frame);
        const auto reply = client.control.expect<api::Reply>();
        CHECK(reply.number == 1);
        CHECK(reply.error == 1);
        // Before the answer.
        const bool is_kept = manager.next() == keeps;
        CHECK(manager.descriptors() == (is_kept ? 2 : 0));
        CHECK(manager.next().empty());
        return is_kept;
    };
    CHECK(asks(api::Keep{.number = 1}));
    CHECK(asks(api::Request{.number = 1, .payload = bytes_of("e")}));
    CHECK_FALSE(asks(api::Goodbye{.number = 1}));

    // Who opens the second connection for somebody who polls.
    Manager manager;
    EchoDaemon daemon;
    const TwoConnections client(daemon.path(), {}, api::kKeptIfAsked | api::kEventsIfAsked);
    CHECK(manager.next() == keeps);
    CHECK(manager.descriptors() == 2);
}

// This thread as another user, if it may become one: the kernel looks at the effective ids of who
// connects. The calls of libc would change all threads.
class AsNobody {
  public:
    static constexpr unsigned kNobody = 65'534;
    AsNobody() {
        REQUIRE(::syscall(SYS_setresgid, -1, kNobody, -1) == 0);
        REQUIRE(::syscall(SYS_setresuid, -1, kNobody, -1) == 0);
    }
    ~AsNobody() {
        CHECK(::syscall(SYS_setresuid, -1, 0, -1) == 0);
        CHECK(::syscall(SYS_setresgid, -1, 0, -1) == 0);
    }
    AsNobody(const AsNobody&) = delete;
    AsNobody& operator=(const AsNobody&) = delete;
    AsNobody(AsNobody&&) = delete;
    AsNobody& operator=(AsNobody&&) = delete;
};

TEST_CASE("who is not allowed is told why, until a rule lets it in") {
    if (::geteuid() != 0) {
        MESSAGE("skipped: only root can be somebody else");
        return;
    }
    EchoDaemon daemon;
    std::filesystem::permissions(std::filesystem::path(daemon.path()).parent_path(),
                                 std::filesystem::perms(0755));
    const auto connect = [&] {
        const AsNobody nobody;
        return std::make_unique<Raw>(daemon.path());
    };
    const auto stranger = connect();
    stranger->send(api::Hello{.pid = 1});
    CHECK(stranger->expect<api::Refused>().error == 11);
    CHECK_FALSE(stranger->next());

    daemon.run([&] { daemon.server().access().gids.insert(AsNobody::kNobody); });
    const auto friendly = connect();
    friendly->send(api::Hello{.pid = 1});
    friendly->expect<api::Welcome>();
    daemon.run([&] { CHECK(daemon.opened.at(0).uid == AsNobody::kNobody); });
}

TEST_CASE("a client of another service, or before the daemon is ready, is told so") {
    EchoDaemon daemon;
    Raw other(daemon.path());
    other.send(api::Hello{.service = session::Service::Quorum, .pid = 1});
    CHECK(other.expect<api::Refused>().error == 7);
    CHECK_FALSE(other.next());

    daemon.run([&] { daemon.server().pause(); });
    Raw early(daemon.path());
    early.send(api::Hello{.pid = 1});
    CHECK(early.expect<api::Refused>().error == 6);
    CHECK_FALSE(early.next());
}

TEST_CASE("what is out of turn, or no frame, ends its own session alone") {
    EchoDaemon daemon;
    TwoConnections good(daemon.path());
    const auto ends = [&](const std::function<void(TwoConnections&)>& does) {
        TwoConnections bad(daemon.path());
        does(bad);
        CHECK_FALSE(bad.control.next());
        CHECK_FALSE(bad.events.next());
    };
    ends([](auto& bad) {
        bad.control.send(api::Request{.number = 1, .payload = bytes_of("w")});
        bad.control.send(api::Request{.number = 2, .payload = bytes_of("e")});
    });
    ends([](auto& bad) { bad.control.send(api::Hello{.pid = 1}); });
    ends([](auto& bad) { bad.control.send_bytes(bytes_of("nonsense")); });
    ends([](auto& bad) { bad.events.send(api::Request{.number = 1, .payload = bytes_of("e")}); });
    ends([](auto& bad) { bad.events.send(api::Goodbye{.number = 1}); });
    ends([](auto& bad) { bad.events.send(api::Keep{.number = 1}); });
    ends([](auto& bad) {
        bad.control.send(api::Request{.number = 1, .payload = bytes_of("w")});
        bad.control.send(api::Keep{.number = 2});
    });

    Raw mute(daemon.path());
    mute.send(api::Request{.number = 1, .payload = bytes_of("e")});
    CHECK_FALSE(mute.next());
    Raw thief(daemon.path());
    thief.send(api::EventsHere{.session = SessionId{4711}});
    CHECK(thief.expect<api::Refused>().error == 9);
    Raw late(daemon.path());
    late.send(api::EventsHere{.session = good.id});
    CHECK(late.expect<api::Refused>().error == 9);

    CHECK(good.ask(1, "estill here") == "still here");
    daemon.run([&] {
        CHECK(daemon.ended == std::vector(7, session::End::Broke));
        CHECK(daemon.server().counters().protocol_errors == 8);
    });
}

TEST_CASE("either connection's end is the session's end") {
    EchoDaemon daemon;
    {
        auto client = std::make_unique<TwoConnections>(daemon.path());
        auto events = std::make_unique<Raw>(std::move(client->events));
        CHECK(client->ask(1, "e") == "");
        events.reset();
        CHECK_FALSE(client->control.next());
    }
    daemon.run([&] { CHECK(daemon.ended == std::vector{session::End::Gone}); });
}

TEST_CASE("who comes back while the old connections are there takes their place") {
    EchoDaemon daemon;
    TwoConnections first(daemon.path());
    TwoConnections second(daemon.path(), first.id);
    CHECK(second.id == first.id);
    CHECK_FALSE(first.control.next());
    CHECK_FALSE(first.events.next());
    CHECK(second.ask(1, "ehere") == "here");
    daemon.run([&] {
        CHECK(daemon.ended == std::vector{session::End::Replaced});
        REQUIRE(daemon.opened.size() == 2);
        CHECK(daemon.opened[1].came_back);
    });
}

TEST_CASE("who does not read its events loses its session, and is not taken back") {
    EchoDaemon daemon;
    TwoConnections slow(daemon.path());
    TwoConnections good(daemon.path());
    const base::Buffer large = zmtp::test::pattern(60'000);
    daemon.run([&] {
        // What the kernel takes and the bound, and a bit.
        for (std::size_t sent = 0; sent < 2 * session::Server::kEventBytesMax; sent += 60'000) {
            daemon.server().event(slow.id, large);
        }
    });
    CHECK_FALSE(slow.control.next());
    daemon.run([&] {
        CHECK(daemon.ended == std::vector{session::End::Overflow});
        CHECK(daemon.server().counters().overflowed == 1);
        CHECK(daemon.server().sessions().size() == 1);
    });
    Raw again(daemon.path());
    again.send(api::Hello{.session = slow.id, .pid = 1});
    CHECK(again.expect<api::Refused>().error == 9);
    CHECK(good.ask(1, "efine") == "fine");
}

TEST_CASE("events wait for the second connection, within the bound") {
    EchoDaemon daemon;
    Raw control(daemon.path());
    control.send(api::Hello{.pid = 1});
    const SessionId id = control.expect<api::Welcome>().session;
    daemon.run([&] {
        daemon.server().event(id, bytes_of("one"));
        daemon.server().event(id, bytes_of("two"));
    });
    Raw events(daemon.path());
    events.send(api::EventsHere{.session = id});
    CHECK(events.expect<api::Welcome>().session == id);
    CHECK(text_of(events.expect<api::Event>().payload) == "one");
    CHECK(text_of(events.expect<api::Event>().payload) == "two");

    Raw never(daemon.path());
    never.send(api::Hello{.pid = 1});
    const SessionId lonely = never.expect<api::Welcome>().session;
    daemon.run([&] {
        for (std::size_t sent = 0; sent <= session::Server::kEventBytesMax; sent += 60'000) {
            daemon.server().event(lonely, zmtp::test::pattern(60'000));
        }
    });
    CHECK_FALSE(never.next());
}

TEST_CASE("a reply that nobody waits for, and an event to nobody, go nowhere") {
    EchoDaemon daemon;
    TwoConnections client(daemon.path());
    client.control.send(api::Request{.number = 1, .payload = bytes_of("w")});
    Raw probe(daemon.path());  // After its answer the request is known to be there.
    probe.send(api::Hello{.pid = 1});
    probe.expect<api::Welcome>();
    daemon.run([&] {
        daemon.server().reply(client.id, 2, 1, bytes_of("not asked"));
        daemon.server().reply(SessionId{4711}, 1, 1);
        daemon.server().event(SessionId{4711}, bytes_of("nobody"));
        daemon.server().reply(client.id, 1, 1, bytes_of("asked"));
        daemon.server().reply(client.id, 1, 1, bytes_of("twice"));
    });
    CHECK(text_of(client.control.expect<api::Reply>().payload) == "asked");
    CHECK(client.ask(2, "enext") == "next");
}

}  // namespace
