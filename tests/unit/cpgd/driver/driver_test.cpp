// Lives of a cpgd one after the other, with the snapshot file between them: the real driver, at the
// real stream of a node that is alone, with a client on a real socket.
#include "cpgd/driver/driver.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "common/os/clock.hpp"
#include "common/zmtp/listener.hpp"
#include "tests/unit/common/os/manager.hpp"
#include "tests/unit/common/ring_client/one_node_ring.hpp"
#include "tests/unit/common/zmtp/support.hpp"

namespace api = protocol::cpg;

namespace {

constexpr base::Duration kSoon = std::chrono::seconds(20);

std::string contents_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// One life, until it is destroyed: without a planned end, as if it were killed.
struct Cpgd {
    explicit Cpgd(const zmtp::test::TemporaryFolder& folder)
        : loop(*os::EventLoop::create()),
          log("cpgd", {.journal = false, .to_stderr = false, .file = folder.file("log")}) {
        REQUIRE(log.reopen_file());
        auto listener = zmtp::Listener::listen(folder.file("cpg"));
        REQUIRE(listener);
        auto snapshots = os::SnapshotFile::open(folder.file("cpgd.snapshot"));
        REQUIRE(snapshots);
        cpgd::Driver::Options options{
            .ring_path = folder.file("ring"), .access = {}, .rules_path = {}, .core = {}};
        options.access.own_uid = ::geteuid();
        auto made = cpgd::Driver::create(loop, log, options, std::move(*listener),
                                         std::optional(std::move(*snapshots)));
        REQUIRE(made);
        driver = std::move(*made);
    }
    void turn() { REQUIRE(loop.turn(std::chrono::milliseconds(1))); }

    os::EventLoop loop;
    logging::Log log;
    std::unique_ptr<cpgd::Driver> driver;
};

// A client's connection: says its first frame at once, and writes down what it hears.
struct Client {
    Client(const std::string& path, std::uint32_t features, const api::ClientFrame& first)
        : connection(*zmtp::connect_to(path), zmtp::Side::Connecting,
                     zmtp::Limits{.features = features}) {
        say(first);
    }
    void say(const api::ClientFrame& frame) {
        REQUIRE(connection.send(api::encode(frame)));
        (void)connection.flush();
    }
    void turn() {
        (void)connection.receive([this](const base::Buffer& bytes) {
            auto frame = api::decode_cpgd_frame(bytes);
            REQUIRE(frame);
            heard.push_back(std::move(*frame));
        });
        (void)connection.flush();
    }
    template <class T>
    [[nodiscard]] const T* last() const {
        for (auto frame = heard.rbegin(); frame != heard.rend(); ++frame) {
            if (const auto* found = std::get_if<T>(&*frame)) return found;
        }
        return nullptr;
    }

    zmtp::Connection connection;
    std::vector<api::CpgdFrame> heard;
};

struct Node {
    explicit Node(const stream::SwitchConfig& config = {}) : ring(folder.file("ring"), config) {
        start_cpgd();
    }

    void start_cpgd() {
        cpgd.reset();
        (void)std::filesystem::remove(folder.file("log"));
        cpgd = std::make_unique<Cpgd>(folder);
    }
    // Again and again, as a library does: a life that is not ready says so.
    api::Welcome connect(api::SessionId session = {}, std::uint64_t last_event = 0) {
        return connect(api::Hello{.session = session,
                                  .pid = static_cast<std::uint32_t>(::getpid()),
                                  .last_event = last_event,
                                  .totem_events = false,
                                  .initial_totem_event = false,
                                  .separate_events = false});
    }
    api::Welcome connect(const api::ClientFrame& first) {
        client.reset();
        REQUIRE(wait([&] {
            if (client && client->last<api::Refused>() != nullptr) client.reset();
            if (!client) client.emplace(folder.file("cpg"), features, first);
            return client->last<api::Welcome>() != nullptr;
        }));
        return *client->last<api::Welcome>();
    }
    template <class Condition>
    bool wait(Condition condition) {
        const base::Instant until = os::now() + kSoon;
        while (!condition()) {
            if (os::now() > until) return false;
            ring.turn();
            if (cpgd) cpgd->turn();
            if (client) client->turn();
        }
        return true;
    }
    bool logs(const std::string& text) {
        return contents_of(folder.file("log")).find(text) != std::string::npos;
    }
    // A client in a group, in the snapshot.
    api::Welcome join() {
        const api::Welcome welcome = connect();
        client->say(api::Join{.request = 1, .handle = api::GroupHandle{5}, .group = "crmd"});
        REQUIRE(wait([&] { return client->last<api::SessionEvent>() != nullptr; }));
        const auto applied = [&] { return ring.status().channels[0].services[0].applied; };
        const auto last = [&] { return ring.status().channels[0].services[0].last; };
        REQUIRE(wait([&] { return applied() == last() && applied() > protocol::Cursor{}; }));
        return welcome;
    }

    zmtp::test::TemporaryFolder folder;
    OneNodeRing ring;
    std::unique_ptr<Cpgd> cpgd;
    std::optional<Client> client;
    std::uint32_t features = 0;  // Of the next client.
};

void overwrite(const std::string& path, std::uint64_t at, const std::string& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at)).write(bytes.data(), std::ssize(bytes));
    REQUIRE(file.good());
}

// Where the snapshot that counts begins in its file, and its length
// (common/os/snapshot_file.cpp).
struct Slot {
    std::uint64_t at = 0;  // Of offset, capacity and length in the header.
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};
Slot current_slot(const std::string& path) {
    const std::string file = contents_of(path);
    std::uint32_t current = 0;
    std::memcpy(&current, file.data() + 12, sizeof(current));
    REQUIRE(current < 2);
    Slot slot{.at = 16 + 24 * current, .offset = 0, .length = 0};
    std::memcpy(&slot.offset, file.data() + slot.at, 8);
    std::memcpy(&slot.length, file.data() + slot.at + 16, 8);
    return slot;
}

}  // namespace

TEST_CASE("a cpgd that was killed goes on with its clients and groups") {
    Node node;
    const api::Welcome before = node.join();
    node.start_cpgd();
    const api::Welcome after = node.connect(before.session, 1);
    CHECK(node.logs("going on from the last life's state"));
    CHECK_FALSE(node.logs("afresh"));
    CHECK(after.resumed);
    CHECK(after.session == before.session);

    // Still a member: what it sends comes back to it.
    node.client->say(api::Mcast{.number = 1,
                                .handle = api::GroupHandle{5},
                                .safe = false,
                                .part = api::Mcast::Part::Whole,
                                .message_bytes = 5,
                                .payload = zmtp::test::pattern(5)});
    REQUIRE(node.wait([&] { return node.client->last<api::SessionEvent>() != nullptr; }));
    const auto& event = *node.client->last<api::SessionEvent>();
    CHECK(event.event == 2);
    CHECK(std::get<api::Delivered>(event.what).payload.size() == 5);
}

TEST_CASE(
    "the service manager gets a client's connection when it asks for something, else at once") {
    Manager manager;
    Node node;
    (void)node.connect();
    CHECK(manager.next() == "FDSTORE=1\nFDNAME=client");
    node.features = api::kKeptIfAsked;
    const auto asks = [&](const api::ClientFrame& frame) {
        (void)node.connect();
        CHECK(manager.next().empty());
        node.client->say(frame);
        REQUIRE(node.wait([&] { return node.client->last<api::Reply>() != nullptr; }));
        CHECK(node.client->last<api::Reply>()->error == 1);
        return manager.next() == "FDSTORE=1\nFDNAME=client";
    };
    CHECK(asks(api::Keep{.request = 1}));
    CHECK(asks(api::Join{.request = 1, .handle = api::GroupHandle{5}, .group = "crmd"}));
    CHECK_FALSE(asks(api::Goodbye{.request = 1}));

    // The second connection, of a client that opens it for somebody who polls.
    for (const std::uint32_t lazy : {0u, api::kEventsIfAsked}) {
        node.features = api::kKeptIfAsked | lazy;
        api::Hello hello;
        hello.separate_events = true;
        const api::Welcome welcome = node.connect(hello);
        const Client control = *std::exchange(node.client, std::nullopt);
        CHECK(manager.next().empty());
        (void)node.connect(api::EventsHere{.session = welcome.session, .last_event = 0});
        CHECK(manager.next() == (lazy != 0 ? "FDSTORE=1\nFDNAME=client" : ""));
        if (lazy != 0) CHECK(manager.descriptors() == 2);
    }
}

TEST_CASE("a state that can't be used is named in the log, and cpgd starts afresh") {
    Node node;
    const api::Welcome before = node.join();
    const std::string path = node.folder.file("cpgd.snapshot");
    node.cpgd.reset();
    const Slot slot = current_slot(path);
    REQUIRE(slot.length > 20);
    std::string reason;
    SUBCASE("the file is torn") {
        std::filesystem::resize_file(path, 5000);
        reason = "the file is damaged or of another version";
    }
    SUBCASE("the file is somebody else's") {
        overwrite(path, 0, std::string(6000, '#'));
        reason = "the file is damaged or of another version";
    }
    SUBCASE("the state is of another version") {
        overwrite(path, slot.offset, std::string(1, '\x7f'));
        reason = "it is of another version";
    }
    SUBCASE("the state is truncated") {
        const std::uint64_t half = slot.length / 2;
        overwrite(path, slot.at + 16,
                  std::string(reinterpret_cast<const char*>(&half), sizeof(half)));
        reason = "it is damaged";
    }
    SUBCASE("the state is garbage") {
        overwrite(path, slot.offset + 1, std::string(slot.length - 1, '\xff'));
        reason = "it is damaged";
    }
    SUBCASE("it was tried too often") {
        overwrite(path, 8, std::string("\x04\0\0\0", 4));
        reason = "too many lives ended with it before they served anybody";
    }

    node.start_cpgd();
    const api::Welcome after = node.connect(before.session, 1);
    CHECK(node.logs("the state of the last life can't be used, starting afresh"));
    CHECK(node.logs(reason));
    CHECK_FALSE(after.resumed);
    CHECK(after.session != before.session);
    // Nobody is in the group any more, here or anywhere.
    node.client->say(api::GroupsGet{.request = 1, .one_group = false, .group = {}});
    REQUIRE(node.wait([&] { return node.client->last<api::GroupsReply>() != nullptr; }));
    CHECK(node.client->last<api::GroupsReply>()->groups.empty());

    // And the life after that goes on from this one's state.
    const api::Welcome again = node.join();
    node.start_cpgd();
    CHECK(node.connect(again.session, 1).resumed);
}

TEST_CASE(
    "a state older than what ringd keeps is given up, and a client that knows more is told so") {
    Node node;
    const api::Welcome before = node.join();
    const std::string old = contents_of(node.folder.file("cpgd.snapshot"));
    node.client->say(api::Leave{.request = 2, .handle = api::GroupHandle{5}});
    const auto& events = *node.client;
    REQUIRE(node.wait([&] { return events.last<api::SessionEvent>()->event == 2; }));
    // What came of it is in a later snapshot, hence acknowledged.
    REQUIRE(node.wait([&] {
        const auto service = node.ring.status().channels[0].services[0];
        return service.applied == service.last;
    }));
    node.cpgd.reset();
    overwrite(node.folder.file("cpgd.snapshot"), 0, old);

    node.start_cpgd();
    const api::Welcome after = node.connect(before.session, 2);
    CHECK(node.logs("its state is older than what it acknowledged or submitted"));
    CHECK_FALSE(after.resumed);
}

TEST_CASE("a life behind which more waits than the ring sends unacknowledged catches up") {
    Node node({.in_flight_bytes_max = 1'000});
    const api::Welcome first = node.join();
    const auto service = [&] { return node.ring.status().channels[0].services[0]; };
    node.ring.hold(true);
    for (std::uint64_t number = 1; number <= 10; ++number) {
        const std::uint64_t before = service().submitted;
        node.client->say(
            api::Mcast{.number = number,
                       .handle = api::GroupHandle{5},
                       .safe = false,
                       .part = api::Mcast::Part::Whole,
                       .message_bytes = 300,
                       .payload = base::Buffer::copy_of(std::vector(300, std::byte{1}))});
        REQUIRE(node.wait([&] { return service().submitted > before; }));
    }
    node.cpgd.reset();
    REQUIRE(node.wait([&] { return !service().connected; }));
    node.ring.hold(false);
    REQUIRE(node.wait([&] { return service().retained_bytes > 3'000; }));

    node.start_cpgd();
    CHECK(node.connect(first.session, 1).session == first.session);
    CHECK(node.wait([&] { return service().retained_bytes == 0; }));
}
