// Long messages come through memory that the daemon shares, and are to the program what all are.
#include <doctest/doctest.h>

#include <array>

#include "tests/unit/libclient/cpg_client.hpp"
#include "tests/unit/libclient/one_node_cpgd.hpp"

namespace cpg = protocol::cpg;

namespace {

std::string text_of(int number, std::size_t length) {
    std::string text = std::to_string(number) + ":";
    for (std::size_t i = text.size(); i < length; ++i) {
        text.push_back(static_cast<char>('a' + (static_cast<std::size_t>(number) + i) % 26));
    }
    return text;
}

// All lengths from a few bytes to several parts, and of each the bounds.
std::size_t length_of(int number) {
    constexpr std::array<std::size_t, 8> lengths{10,     4'096,   4'097,     65'536,
                                                 70'001, 300'000, 1'000'000, 1'048'577};
    return lengths.at(static_cast<std::size_t>(number) * 5 % lengths.size());
}

void send(CpgClient& client, const std::string& text) {
    cs_error_t sent = CS_ERR_TRY_AGAIN;
    while ((sent = client.send(text)) == CS_ERR_TRY_AGAIN) {
        REQUIRE(cpg_dispatch(client.handle, CS_DISPATCH_ALL) == CS_OK);
    }
    REQUIRE(sent == CS_OK);
}

cpg::DeliveredInArea in_area(std::uint64_t event, std::uint32_t offset, std::uint32_t length) {
    return {.event = event,
            .delivered = {.handle = cpg::GroupHandle{1},
                          .node = base::NodeId{7},
                          .pid = 1,
                          .message_bytes = length,
                          .payload = {}},
            .offset = offset,
            .payload_bytes = length};
}

}  // namespace

TEST_CASE("messages of all lengths come in order, with and without an area") {
    for (const bool has_areas : {true, false}) {
        CAPTURE(has_areas);
        OneNodeCpgd cpgd({.has_areas = has_areas});
        CpgClient client;
        REQUIRE(client.join("a") == CS_OK);
        std::vector<std::string> texts;
        for (int i = 0; i < 120; ++i) {
            texts.push_back(text_of(i, length_of(i)));
            send(client, texts.back());
        }
        REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == texts.size(); }));
        CHECK(client.seen.messages == texts);
        CHECK((cpgd.in_area() > 0) == has_areas);
        CHECK(client.polled(0) == 0);
    }
}

TEST_CASE("a daemon that comes back has another area") {
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    std::vector<std::string> texts;
    for (int i = 0; i < 60; ++i) {
        texts.push_back(text_of(i, length_of(i)));
        send(client, texts.back());
        // Some are taken, some wait in the area that goes.
        if (i % 10 == 9) cpgd.restart();
    }
    REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == texts.size(); }));
    CHECK(client.seen.messages == texts);
    CHECK(cpgd.in_area() > 0);
}

TEST_CASE("an area that does not hold what it should ends the session") {
    struct Case {
        std::uint32_t offset;
        std::uint32_t length;
    };
    constexpr auto kBytes = static_cast<std::uint32_t>(cpgd::DeliveryArea::kBytes);
    for (const Case& bad : {Case{kBytes - 5'000, 5'001}, Case{kBytes + 1, 5'000},
                            Case{UINT32_MAX, 5'000}, Case{UINT32_MAX - 4'999, 5'000}}) {
        CAPTURE(bad.offset);
        OneNodeCpgd cpgd;
        CpgClient client;
        REQUIRE(client.join("a") == CS_OK);
        REQUIRE(client.dispatch_until([&] { return client.seen.confchgs.size() == 1; }));
        cpgd.send_raw_event("a", in_area(2, bad.offset, bad.length));
        REQUIRE(client.polled(kDeadlineMs) != 0);
        CHECK(cpg_dispatch(client.handle, CS_DISPATCH_ONE) == CS_ERR_LIBRARY);
        CHECK(client.seen.messages.empty());
    }
}

TEST_CASE("a program that can't have the area goes on without") {
    OneNodeCpgd cpgd({.has_areas = false, .keeps_sessions = true});
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    REQUIRE(client.dispatch_until([&] { return client.seen.confchgs.size() == 1; }));
    // As when the descriptor found no place in the process: it did not come.
    cpgd.send_raw_event("a", in_area(2, 0, 5'000));
    cpgd.send_event("a", {.node = base::NodeId{7},
                          .pid = 1,
                          .message_bytes = 5,
                          .payload = base::Buffer::copy_of(std::as_bytes(std::span("hello", 5)))});
    REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == 1; }));
    CHECK(client.seen.messages[0] == "hello");
}

TEST_CASE("no more is left unacknowledged than a client may hold back") {
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    for (int i = 0; i < 40; ++i) {
        send(client, text_of(i, 30'000));
    }
    while (client.seen.messages.size() < 40) {
        REQUIRE(client.polled(kDeadlineMs) == POLLIN);
        REQUIRE(cpg_dispatch(client.handle, CS_DISPATCH_ONE) == CS_OK);
    }
    // The join's event and 40 messages, of which three come to kAckBytesMax.
    for (int tries = 0; tries < kDeadlineMs && cpgd.acknowledged() < 39; ++tries) {
        (void)::poll(nullptr, 0, 1);
    }
    CHECK(cpgd.acknowledged() >= 39);
}
