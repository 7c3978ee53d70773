#include "ringd/totem/flow_control.hpp"

#include <doctest/doctest.h>

using totem::allowed_bytes;
using totem::FlowInputs;

TEST_CASE("the window bounds a rotation, the visit bounds a member") {
    struct Row {
        FlowInputs in;
        std::size_t allowed;
    };
    const FlowInputs idle{.window_bytes = 1000, .visit_bytes = 400};
    Row rows[] = {{idle, 400}, {idle, 300}, {idle, 0}, {idle, 400}, {idle, 100}};
    rows[1].in.fcc_bytes = 700;  // Others have used up most of it.
    rows[2].in.fcc_bytes = 5000;
    rows[3].in.fcc_bytes = 900;  // Most of it is our own of the last rotation.
    rows[3].in.own_fcc_bytes = 500;
    rows[4].in.backlog_bytes = 4000;  // More waits than fits: a share.
    rows[4].in.own_backlog = 500;
    for (const Row& row : rows) {
        CHECK(allowed_bytes(row.in) == row.allowed);
    }
}

TEST_CASE("sums that do not add up allow no more than the visit") {
    CHECK(allowed_bytes({.window_bytes = 1000,
                         .visit_bytes = 400,
                         .fcc_bytes = 10,
                         .own_fcc_bytes = 4000000000u,
                         .backlog_bytes = 4000000000u,
                         .own_backlog_before = 7,
                         .own_backlog = 100}) == 0);
}

TEST_CASE("the window shrinks under loss and recovers") {
    totem::AdaptiveWindow window(64000);
    CHECK(window.bytes() == 64000);
    window.rotation_ended(10000, 5000);
    CHECK(window.bytes() == 48000);
    window.rotation_ended(10000, 100);  // A little loss is no congestion.
    CHECK(window.bytes() == 48000);
    for (int i = 0; i < 100; ++i)
        window.rotation_ended(10000, 10000);
    CHECK(window.bytes() == 4000);
    for (int i = 0; i < 100; ++i)
        window.rotation_ended(10000, 0);
    CHECK(window.bytes() == 64000);
}

TEST_CASE("a smaller window holds at once, a larger one is grown into") {
    totem::AdaptiveWindow window(64'000);
    window.limit(16'000);
    CHECK(window.bytes() == 16'000);
    window.limit(64'000);
    CHECK(window.bytes() == 16'000);
    for (int i = 0; i < 64; ++i)
        window.rotation_ended(1000, 0);
    CHECK(window.bytes() == 64'000);
}
