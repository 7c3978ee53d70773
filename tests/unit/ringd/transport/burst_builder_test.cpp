// Which packets may share a super-packet.
#include "ringd/transport/burst_builder.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "common/base/prng.hpp"
#include "ringd/transport/packet_header.hpp"
#include "ringd/transport/udp_socket.hpp"

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
