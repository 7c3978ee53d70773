#include "ringd/stream_server/item_loans.hpp"

#include <doctest/doctest.h>

#include "common/protocol/ring_api.hpp"
#include "tests/unit/common/zmtp/support.hpp"

using protocol::Cursor;
using stream::ItemLoans;
using stream::ItemMemory;

namespace {

constexpr zmtp::ServerConnectionId kFirst{1};
constexpr zmtp::ServerConnectionId kSecond{2};

// ringd's socket without a peer: what is attached for one is closed.
struct Lender {
    Lender()
        : loop(*os::EventLoop::create()),
          server(*zmtp::Server::create(loop, *zmtp::Listener::listen(folder.file("ring")), {},
                                       {.connected = [](auto, const auto&) { return true; },
                                        .message = [](auto, const auto&) {},
                                        .closed = [](auto, const auto&) {},
                                        .process_ended = nullptr})),
          loans(*server, memory) {}

    // The frame in which the event came to be lent; nothing: it was not.
    std::optional<protocol::BatchInArea> lend(zmtp::ServerConnectionId to, std::uint64_t cursor,
                                              const base::Buffer& body) {
        const protocol::Event event{
            .cursor = Cursor{cursor},
            .what = protocol::Batch{.ring = {.seq = 4, .representative = base::NodeId{1}},
                                    .seq = 5,
                                    .index = 6,
                                    .sender = base::NodeId{2},
                                    .number = 7,
                                    .payload = {}}};
        const auto head = loans.lend(to, protocol::encode_header(protocol::RingFrame{event}), body);
        if (!head) return std::nullopt;
        const auto frame = protocol::decode_ring_frame(*head);
        REQUIRE(frame);
        return std::get<protocol::BatchInArea>(*frame);
    }
    base::Buffer item(std::size_t bytes) { return memory.allocate(bytes).freeze(); }

    zmtp::test::TemporaryFolder folder;
    os::EventLoop loop;
    std::unique_ptr<zmtp::Server> server;
    ItemMemory memory;
    ItemLoans loans;
};

}  // namespace

TEST_CASE("what is lent is the same event, and says where its payload lies") {
    Lender lender;
    lender.loans.add(kFirst);
    const base::Buffer body = lender.item(10'000).slice(33);
    const auto lent = lender.lend(kFirst, 9, body);
    REQUIRE(lent);
    CHECK(lent->cursor == Cursor{9});
    CHECK(lent->batch.seq == 5);
    CHECK(lent->batch.sender == base::NodeId{2});
    CHECK(lent->batch.number == 7);
    CHECK(lent->offset == 33);
    CHECK(lent->payload_bytes == 9'967);
    CHECK(lender.loans.lent_bytes() == 9'967);
}

TEST_CASE("who does not take items, and what does not lie in the area, gets nothing lent") {
    Lender lender;
    lender.loans.add(kFirst);
    const base::Buffer body = lender.item(10'000);
    CHECK_FALSE(lender.lend(kSecond, 1, body));
    CHECK_FALSE(lender.lend(kFirst, 1, zmtp::test::pattern(10'000)));
    CHECK_FALSE(lender.lend(kFirst, 1, {}));
    CHECK(lender.loans.lent_bytes() == 0);
}

TEST_CASE("a place stays taken until who got it gives it back") {
    Lender lender;
    lender.loans.add(kFirst);
    REQUIRE(lender.lend(kFirst, 1, lender.item(10'000)));
    REQUIRE(lender.lend(kFirst, 2, lender.item(20'000)));
    const std::size_t both = lender.memory.taken_bytes();
    lender.loans.given_back(kSecond, {.events = {1, 2}});
    lender.loans.given_back(kFirst, {.events = {3, 0, UINT64_MAX}});
    CHECK(lender.memory.taken_bytes() == both);
    CHECK(lender.loans.lent_bytes() == 30'000);
    lender.loans.given_back(kFirst, {.events = {2, 2}});
    CHECK(lender.loans.lent_bytes() == 10'000);
    CHECK(lender.memory.taken_bytes() < both);
    lender.loans.given_back(kFirst, {.events = {1}});
    CHECK(lender.memory.taken_bytes() == 0);
}

TEST_CASE("when a connection ends nothing is put where its process may still read") {
    Lender lender;
    lender.loans.add(kFirst);
    REQUIRE(lender.lend(kFirst, 1, lender.item(10'000)));
    CHECK(lender.memory.area_number() == 1);
    lender.loans.remove(kFirst);
    CHECK(lender.loans.lent_bytes() == 0);
    CHECK(lender.memory.area_number() == 0);
    lender.loans.add(kSecond);
    const auto lent = lender.lend(kSecond, 1, lender.item(10'000));
    REQUIRE(lent);
    CHECK(lender.memory.area_number() == 2);
    // What nobody has the descriptor of is used on.
    Lender other;
    other.loans.add(kFirst);
    const base::Buffer body = other.item(10'000);
    other.loans.remove(kFirst);
    CHECK(other.memory.offset_of(body) == 0);
}

TEST_CASE("a connection has one area: after it was left because of another one it gets none") {
    Lender lender;
    lender.loans.add(kFirst);
    lender.loans.add(kSecond);
    const base::Buffer shared = lender.item(10'000);
    REQUIRE(lender.lend(kFirst, 1, shared));
    REQUIRE(lender.lend(kSecond, 1, shared));
    lender.loans.remove(kSecond);
    const base::Buffer later = lender.item(10'000);
    CHECK_FALSE(lender.lend(kFirst, 2, later));
    CHECK_FALSE(lender.lend(kFirst, 3, shared));
    lender.loans.add(kSecond);
    CHECK(lender.lend(kSecond, 1, later));
}
