#include "libclient/src/ipc/send_window.hpp"

#include <doctest/doctest.h>

namespace {

using client::SendWindow;

TEST_CASE("a window of 0 admits nothing, not even a message without cost") {
    CHECK_FALSE(SendWindow(0).admits(0));
    CHECK_FALSE(SendWindow().admits(1));
}

TEST_CASE("what is outstanding stays within the window") {
    SendWindow window(100);
    CHECK(window.admits(100));
    CHECK(window.send(60) == 1);
    CHECK(window.send(40) == 2);
    CHECK_FALSE(window.admits(1));
    window.credit(1, 100);
    CHECK(window.outstanding() == 40);
    CHECK(window.admits(60));
    CHECK_FALSE(window.admits(61));
}

TEST_CASE("a message larger than the window goes alone") {
    SendWindow window(100);
    CHECK(window.admits(1'000));
    (void)window.send(1'000);
    CHECK_FALSE(window.admits(1));
    window.credit(1, 100);
    CHECK(window.admits(100));
}

TEST_CASE("credit from the past or beyond what was sent takes nothing else off") {
    SendWindow window(100);
    (void)window.send(10);
    (void)window.send(20);
    window.credit(0, 100);
    CHECK(window.outstanding() == 30);
    window.credit(9, 100);
    CHECK(window.outstanding() == 0);
    CHECK(window.send(5) == 3);
}

}  // namespace
