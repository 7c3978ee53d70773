#include <doctest/doctest.h>

#include "libclient/tools/node/notify_message.hpp"
#include "libclient/tools/node/restart_delay.hpp"

using namespace std::chrono_literals;

TEST_CASE("a datagram of the notify protocol is read line by line") {
    const auto message = node::parse_notify("READY=1\nSTATUS=all is well\nMAINPID=7\n");
    CHECK(message.is_ready);
    CHECK(message.status == "all is well");
    CHECK_FALSE(message.feeds_watchdog);
    CHECK_FALSE(message.stores_descriptors);
    const auto store = node::parse_notify("FDSTORE=1\nFDNAME=ring.0");
    CHECK(store.stores_descriptors);
    CHECK(store.name == "ring.0");
    CHECK(store.watches_descriptors);
    CHECK_FALSE(node::parse_notify("FDSTORE=1\nFDPOLL=0").watches_descriptors);
    CHECK(node::parse_notify("WATCHDOG=1").feeds_watchdog);
    CHECK(node::parse_notify("FDSTOREREMOVE=1\nFDNAME=a").forgets_descriptors);
}

TEST_CASE("names that would break LISTEN_FDNAMES are not used") {
    for (const char* name : {"", "a:b", "a b", "a\tb"}) {
        CAPTURE(name);
        CHECK(node::parse_notify(std::string("FDNAME=") + name).name == "stored");
    }
    CHECK(node::parse_notify("FDNAME=" + std::string(256, 'x')).name == "stored");
}

TEST_CASE("what is no line of the protocol is passed over") {
    for (const char* text : {"", "\n\n", "READY", "READY=2", "=1", "ready=1"}) {
        CAPTURE(text);
        CHECK_FALSE(node::parse_notify(text).is_ready);
    }
}

TEST_CASE("the first restart is at once, the next ones wait longer, up to a bound") {
    node::RestartDelay delay;
    CHECK(delay.after(false) == 0s);
    CHECK(delay.after(false) == 100ms);
    CHECK(delay.after(false) == 200ms);
    for (int i = 0; i < 20; ++i) {
        CHECK(delay.after(false) <= node::RestartDelay::kLongest);
    }
    CHECK(delay.after(false) == node::RestartDelay::kLongest);
    for (int i = 0; i < 20; ++i) {
        CHECK(delay.after(true) == 0s);  // It was at work.
    }
    CHECK(delay.after(false) == 100ms);
}
