// Credit, and messages larger than a part.
#include <doctest/doctest.h>
#include <unistd.h>

#include <thread>

#include "tests/unit/libclient/cpg_client.hpp"
#include "tests/unit/libclient/one_node_cpgd.hpp"

namespace {

namespace cpg = protocol::cpg;

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        text[i] = static_cast<char>(i * 31 % 251);
    }
    return text;
}

base::Buffer buffer_of(const std::string& text) {
    return base::Buffer::copy_of(std::as_bytes(std::span(text)));
}

cpg::Delivered part_of(const std::string& text, cpg::Mcast::Part part, std::size_t whole) {
    return {.handle = {},
            .node = base::NodeId{2},
            .pid = 99,
            .part = part,
            .message_bytes = whole,
            .payload = buffer_of(text)};
}

TEST_CASE("without credit a send says TRY_AGAIN, and with it goes on") {
    OneNodeCpgd cpgd({.window_bytes = 10'000, .gives_credit = false});
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    const std::string message(936, 'x');  // 1,000 with what each message costs.
    for (int i = 0; i < 10; ++i) {
        REQUIRE(client.send(message) == CS_OK);
    }
    CHECK(client.send(message) == CS_ERR_TRY_AGAIN);
    CHECK(client.send("") == CS_ERR_TRY_AGAIN);
    REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == 10; }));
    CHECK(client.send(message) == CS_ERR_TRY_AGAIN);
    CHECK(cpgd.multicasts() == 10);

    cpgd.credit_all(0);
    CHECK(client.send("") == CS_ERR_TRY_AGAIN);
    cpgd.credit_all(2'000);
    while (client.send(message) == CS_ERR_TRY_AGAIN) {
        std::this_thread::yield();
    }
    CHECK(client.send(message) == CS_OK);
    CHECK(client.send(message) == CS_ERR_TRY_AGAIN);
    CHECK(client.dispatch_until([&] { return client.seen.messages.size() == 12; }));
}

TEST_CASE("a message larger than the window goes when nothing else is outstanding") {
    const OneNodeCpgd cpgd({.window_bytes = 1'000});
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    const std::string message = pattern(900'000);
    REQUIRE(client.send(message) == CS_OK);
    CHECK(client.dispatch_until([&] { return client.seen.messages.size() == 1; }));
    CHECK(client.seen.messages.at(0) == message);
}

TEST_CASE("messages of many megabytes arrive in one piece, however they are cut") {
    const OneNodeCpgd cpgd({.window_bytes = 2u << 20u});
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    std::vector<std::string> sent;
    for (const std::size_t size : {std::size_t{1} << 20u, (std::size_t{1} << 20u) + 1,
                                   std::size_t{2} << 20u, std::size_t{5'000'000}}) {
        sent.push_back(pattern(size));
        const std::string& message = sent.back();
        // Pieces that end where no part does, one of them empty.
        const std::size_t third = size / 3;
        const auto at = [&](std::size_t offset) {
            return const_cast<char*>(message.data()) + offset;
        };
        const std::array<iovec, 4> pieces{
            {{.iov_base = at(0), .iov_len = third},
             {.iov_base = at(third), .iov_len = 0},
             {.iov_base = at(third), .iov_len = third},
             {.iov_base = at(2 * third), .iov_len = size - 2 * third}}};
        REQUIRE(cpg_mcast_joined(client.handle, CPG_TYPE_AGREED, pieces.data(), 4) == CS_OK);
        REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == sent.size(); }));
    }
    CHECK(client.seen.messages == sent);
}

TEST_CASE("what is longer than any message is refused") {
    const OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    char byte = 'x';
    // Never read: the lengths alone are too much.
    const std::array<iovec, 2> pieces{
        {{.iov_base = &byte, .iov_len = SIZE_MAX}, {.iov_base = &byte, .iov_len = 2}}};
    CHECK(cpg_mcast_joined(client.handle, CPG_TYPE_AGREED, pieces.data(), 2) == CS_ERR_TOO_BIG);
    CHECK(cpgd.multicasts() == 0);
}

TEST_CASE("a message in parts whose sender is gone is never delivered") {
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    cpgd.send_event("a", part_of("lost ", cpg::Mcast::Part::First, 10));
    cpg::Confchg gone;
    gone.members = {{.node = base::NodeId{7}, .pid = static_cast<std::uint32_t>(::getpid())}};
    gone.left = {{.node = base::NodeId{2}, .pid = 99, .reason = cpg::Reason::NodeDown}};
    cpgd.send_confchg("a", gone);
    cpgd.send_event("a", part_of("heard", cpg::Mcast::Part::Last, 10));

    cpgd.send_event("a", part_of("good ", cpg::Mcast::Part::First, 10));
    cpgd.send_event("a", part_of("other", cpg::Mcast::Part::Whole, 5));
    cpgd.send_event("a", part_of("parts", cpg::Mcast::Part::Last, 10));
    REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == 2; }));
    CHECK(client.seen.messages == std::vector<std::string>{"other", "good parts"});
    CHECK(client.seen.confchgs.at(1).left.at(0).reason == CPG_REASON_NODEDOWN);
}

TEST_CASE("a part alone does not make dispatch of one event wait for the rest") {
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    REQUIRE(client.dispatch_until([&] { return client.seen.confchgs.size() == 1; }));
    cpgd.send_event("a", part_of("first", cpg::Mcast::Part::First, 10));
    REQUIRE(client.polled(kDeadlineMs) == POLLIN);
    CHECK(cpg_dispatch(client.handle, CS_DISPATCH_ONE) == CS_OK);
    CHECK(client.seen.messages.empty());
}

TEST_CASE("a daemon that says what it must not ends the session") {
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    REQUIRE(client.dispatch_until([&] { return client.seen.confchgs.size() == 1; }));
    cpgd.send_raw_event("a", cpg::Credit{.taken = 0, .window_bytes = 1});
    REQUIRE(client.polled(kDeadlineMs) == POLLIN);
    CHECK(cpg_dispatch(client.handle, CS_DISPATCH_ALL) == CS_ERR_LIBRARY);
    CHECK(client.send("x") == CS_ERR_LIBRARY);
}

TEST_CASE("a group of more than the C interface has room for") {
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    cpg::Confchg many;
    for (std::uint32_t pid = 1; pid <= 200; ++pid) {
        many.members.push_back({.node = base::NodeId{2}, .pid = pid});
    }
    cpgd.send_confchg("a", many);
    REQUIRE(client.dispatch_until([&] { return client.seen.confchgs.size() == 2; }));
    CHECK(client.seen.confchgs[1].members.size() == 200);
}

}  // namespace
