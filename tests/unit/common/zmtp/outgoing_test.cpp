#include "common/zmtp/outgoing.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "tests/unit/common/zmtp/support.hpp"

using namespace zmtp;
using test::pattern;

namespace {

// Writes at most `step` bytes a call until all is out.
std::vector<std::byte> drain(Outgoing& outgoing, std::size_t step) {
    std::vector<std::byte> out;
    while (!outgoing.empty()) {
        std::array<std::span<const std::byte>, 3> pieces;
        const std::size_t count = outgoing.gather(pieces);
        REQUIRE(count > 0);
        std::size_t room = step;
        std::size_t written = 0;
        for (std::size_t i = 0; i < count && room > 0; ++i) {
            const auto part = pieces[i].first(std::min(room, pieces[i].size()));
            out.insert(out.end(), part.begin(), part.end());
            room -= part.size();
            written += part.size();
        }
        outgoing.written(written);
    }
    return out;
}

}  // namespace

TEST_CASE("what is pushed comes out in order, however little is written at once") {
    for (const std::size_t step : {1u, 7u, 4096u, 1u << 20u}) {
        Outgoing outgoing(std::size_t{1} << 30u);
        std::vector<std::byte> expected;
        for (std::size_t i = 0; i < 40; ++i) {
            const base::Buffer head = pattern(i % 5, i);
            const base::Buffer body = pattern(i * i * 13 % 9000, i + 1);
            REQUIRE(outgoing.push(head.bytes(), body));
            std::array<std::byte, kFrameHeadBytesMax> frame{};
            const auto length = encode_message_head(head.size() + body.size(), frame.data());
            expected.insert(expected.end(), frame.begin(),
                            frame.begin() + static_cast<std::ptrdiff_t>(length));
            expected.insert(expected.end(), head.bytes().begin(), head.bytes().end());
            expected.insert(expected.end(), body.bytes().begin(), body.bytes().end());
        }
        CHECK(outgoing.queued_bytes() == expected.size());
        CHECK(std::ranges::equal(drain(outgoing, step), expected));
        CHECK(outgoing.queued_bytes() == 0);
    }
}

TEST_CASE("many small messages are one piece; a large body is referred to") {
    Outgoing outgoing(1u << 20u);
    const base::Buffer small = pattern(64);
    for (int i = 0; i < 900; ++i) {
        REQUIRE(outgoing.push({}, small));
    }
    const base::Buffer large = pattern(10'000);
    REQUIRE(outgoing.push(small.bytes(), large));
    std::array<std::span<const std::byte>, 8> pieces;
    REQUIRE(outgoing.gather(pieces) == 2);
    CHECK(pieces[1].data() == large.data());
}

TEST_CASE("a full queue takes nothing, an empty one takes any size") {
    Outgoing outgoing(100);
    CHECK(outgoing.push({}, pattern(1000)));
    CHECK_FALSE(outgoing.push({}, pattern(1)));
    CHECK(drain(outgoing, 4096).size() == 1009);
    CHECK(outgoing.push({}, pattern(1)));
}
