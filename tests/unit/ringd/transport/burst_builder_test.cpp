// Which packets may share a super-packet.
#include "ringd/transport/burst_builder.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "common/base/prng.hpp"
#include "ringd/transport/packet_header.hpp"
#include "ringd/transport/udp_socket.hpp"

using transport::Burst;
using transport::can_join;
using transport::kOverheadBytes;
using transport::plan_burst;

TEST_CASE("bursts are as long as sizes allow") {
    struct Row {
        std::vector<std::size_t> sizes;
        std::size_t packets, segment, total;
    };
    const std::size_t o = kOverheadBytes;
    const std::vector<std::size_t> many(100, 1400);
    for (const Row& row :
         {Row{{0}, 1, o, o}, Row{{1400, 1400, 1400}, 3, 1400 + o, 3 * (1400 + o)},
          Row{{1390, 1400, 1380}, 3, 1400 + o, 3 * (1400 + o)},           // Padded to the longest.
          Row{{1400, 1400, 100}, 3, 1400 + o, 2 * (1400 + o) + 100 + o},  // Short, and the last.
          Row{{1400, 100, 1400}, 2, 1400 + o, 1400 + o + 100 + o},
          Row{{100, 1400, 1400}, 1, 100 + o, 100 + o},  // The first is too short for company.
          Row{{1400, 0, 0}, 2, 1400 + o, 1400 + 2 * o},
          Row{many, 45, 1400 + o, 45 * (1400 + o)},  // 64 KiB.
          Row{std::vector<std::size_t>(100, 10), 64, 10 + o, 64 * (10 + o)}}) {
        const auto plan = plan_burst(row.sizes);
        CAPTURE(row.sizes.size());
        CHECK(plan.packets == row.packets);
        CHECK(plan.segment_bytes == row.segment);
        CHECK(plan.total_bytes == row.total);
    }
}

TEST_CASE("every plan is one that the kernel takes, and wastes an eighth at most") {
    base::Prng random(1);
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::size_t> sizes(1 + random.below(70));
        const std::size_t most = 1 + random.below(9000);
        for (std::size_t& size : sizes) {
            size = random.below(3) == 0 ? random.below(most) : most - random.below(most / 6 + 1);
        }
        const auto plan = plan_burst(sizes);
        REQUIRE(plan.packets >= 1);
        REQUIRE(plan.packets <= std::min(sizes.size(), transport::kSegmentsMax));
        REQUIRE(plan.total_bytes <= transport::kBurstBytesMax);
        std::size_t payload = 0;
        for (std::size_t i = 0; i < plan.packets; ++i) {
            const std::size_t room =
                std::min(plan.segment_bytes, plan.total_bytes - i * plan.segment_bytes);
            REQUIRE(sizes[i] + kOverheadBytes <= room);
            payload += sizes[i] + kOverheadBytes;
        }
        REQUIRE(payload >= plan.total_bytes - plan.total_bytes / 8 - plan.packets);
        // All segments are full, but the last.
        REQUIRE((plan.total_bytes + plan.segment_bytes - 1) / plan.segment_bytes == plan.packets);
    }
}

TEST_CASE("a packet joins the burst before it as its last segment, never as more") {
    const std::vector<std::byte> memory(transport::kBurstBytesMax + 1);
    const auto joins = [&](std::size_t segment, std::size_t total, std::size_t gap,
                           std::size_t next) {
        const std::span<const std::byte> bytes(memory);
        const Burst burst{.to = nullptr, .bytes = bytes.first(total), .segment_bytes = segment};
        const Burst behind{
            .to = nullptr, .bytes = bytes.subspan(total + gap, next), .segment_bytes = next};
        return can_join(burst, behind);
    };
    CHECK(joins(241, 241, 0, 112));
    CHECK(joins(241, 241, 0, 241));
    CHECK(joins(241, 2 * 241, 0, 112));
    CHECK_FALSE(joins(241, 241, 0, 242));        // Longer than the others.
    CHECK_FALSE(joins(241, 241, 1, 112));        // Elsewhere.
    CHECK_FALSE(joins(241, 241 + 100, 0, 112));  // Behind a short one, which is the last.
    CHECK_FALSE(joins(100, 64 * 100, 0, 100));   // One more than the kernel takes.
    CHECK(joins(100, 63 * 100, 0, 100));
    const std::size_t full = transport::kBurstBytesMax / 2;
    CHECK(joins(full, full, 0, full));
    CHECK_FALSE(joins(full, 2 * full, 0, 2));
}
