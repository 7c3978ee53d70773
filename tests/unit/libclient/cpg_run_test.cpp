// Messages that share a frame are to the program what they are by themselves.
#include <doctest/doctest.h>

#include "tests/unit/libclient/cpg_client.hpp"
#include "tests/unit/libclient/one_node_cpgd.hpp"

namespace {

std::vector<std::string> numbered(std::size_t count, std::size_t padding) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < count; ++i) {
        texts.push_back(std::to_string(i) + std::string(i % (padding + 1), '.'));
    }
    return texts;
}

}  // namespace

TEST_CASE("the descriptor is readable until the last message of a run is dispatched") {
    for (const std::size_t padding : {std::size_t{0}, std::size_t{40}, std::size_t{3'000}}) {
        CAPTURE(padding);
        OneNodeCpgd cpgd;
        CpgClient client;
        REQUIRE(client.join("a") == CS_OK);
        REQUIRE(client.dispatch_until([&] { return client.seen.confchgs.size() == 1; }));
        // The last one is empty: its length is what is held back.
        auto texts = numbered(30, padding);
        texts.emplace_back();
        cpgd.send_run("a", texts);
        cpgd.send_run("a", {"alone"});
        texts.emplace_back("alone");
        for (std::size_t i = 1; i <= texts.size(); ++i) {
            REQUIRE(client.polled(kDeadlineMs) == POLLIN);
            REQUIRE(cpg_dispatch(client.handle, CS_DISPATCH_ONE) == CS_OK);
            REQUIRE(client.seen.messages.size() == i);
        }
        CHECK(client.polled(0) == 0);
        CHECK(client.seen.messages == texts);
        CHECK(cpg_dispatch(client.handle, CS_DISPATCH_ONE_NONBLOCKING) == CS_ERR_TRY_AGAIN);
    }
}

TEST_CASE("a burst of calls shares frames, in order, and only with a daemon that takes them") {
    for (const bool takes_runs : {true, false}) {
        CAPTURE(takes_runs);
        OneNodeCpgd cpgd({.takes_runs = takes_runs});
        CpgClient client;
        REQUIRE(client.join("a") == CS_OK);
        const auto texts = numbered(20'000, 60);
        for (const std::string& text : texts) {
            cs_error_t sent = CS_ERR_TRY_AGAIN;
            while ((sent = client.send(text)) == CS_ERR_TRY_AGAIN) {
                REQUIRE(cpg_dispatch(client.handle, CS_DISPATCH_ALL) == CS_OK);
            }
            REQUIRE(sent == CS_OK);
        }
        REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == texts.size(); }));
        CHECK(client.seen.messages == texts);
        CHECK(cpgd.multicasts() == texts.size());
        CHECK((cpgd.runs() > 0) == takes_runs);
    }
}

TEST_CASE("a long message and a request have their place in a burst") {
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    std::vector<std::string> texts;
    for (int i = 0; i < 200; ++i) {
        const std::size_t length = i % 50 == 7 ? 100'000 : i % 50 == 20 ? 4'097 : 4'096;
        texts.push_back(std::to_string(i) + ":" + std::string(length, 'x'));
        cs_error_t sent = CS_ERR_TRY_AGAIN;
        while ((sent = client.send(texts.back())) == CS_ERR_TRY_AGAIN) {
            REQUIRE(cpg_dispatch(client.handle, CS_DISPATCH_ALL) == CS_OK);
        }
        REQUIRE(sent == CS_OK);
        texts.emplace_back(std::to_string(i));
        while ((sent = client.send(texts.back())) == CS_ERR_TRY_AGAIN) {
            REQUIRE(cpg_dispatch(client.handle, CS_DISPATCH_ALL) == CS_OK);
        }
        REQUIRE(sent == CS_OK);
        if (i % 60 == 30) {
            cpg_address members[2];
            int count = 2;
            cpg_name group = name_of("a");
            CHECK(cpg_membership_get(client.handle, &group, members, &count) == CS_OK);
            CHECK(count == 1);
        }
    }
    REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == texts.size(); }));
    CHECK(client.seen.messages == texts);
}

TEST_CASE("a daemon that comes back goes on in the midst of a run") {
    OneNodeCpgd cpgd;
    CpgClient client;
    REQUIRE(client.join("a") == CS_OK);
    REQUIRE(client.dispatch_until([&] { return client.seen.confchgs.size() == 1; }));
    auto texts = numbered(50, 9);
    cpgd.send_run("a", texts);
    REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == 20; }));
    cpgd.restart();  // The run is said again, whole.
    REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == texts.size(); }));
    while (client.polled(0) != 0) {
        REQUIRE(cpg_dispatch(client.handle, CS_DISPATCH_ALL) == CS_OK);
    }
    cpgd.send_run("a", {"after"});
    texts.emplace_back("after");
    REQUIRE(client.dispatch_until([&] { return client.seen.messages.size() == texts.size(); }));
    CHECK(client.seen.messages == texts);
}
