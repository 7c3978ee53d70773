#include "common/ring_client/lent_items.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using ring::LentItems;

namespace {

constexpr std::size_t kBytes = std::size_t{64} << 10u;

struct Borrower {
    Borrower()
        : memory(*os::SharedMemory::create("test", kBytes)),
          items(*os::ForeignMemory::map(memory.take_descriptor())) {}

    std::optional<base::Buffer> take(std::uint64_t event, std::uint32_t offset,
                                     std::uint32_t bytes) {
        return items->payload_of({.cursor = protocol::Cursor{event},
                                  .batch = {},
                                  .offset = offset,
                                  .payload_bytes = bytes});
    }

    os::SharedMemory memory;
    std::optional<LentItems> items;
};

}  // namespace

TEST_CASE("a payload is where it lies, and is given back after its last owner") {
    Borrower borrower;
    std::ranges::fill(borrower.memory.bytes().subspan(5'000, 100), std::byte{9});
    auto first = borrower.take(1, 5'000, 100);
    auto second = borrower.take(2, 6'000, 1'000);
    REQUIRE(first);
    REQUIRE(second);
    CHECK(std::ranges::all_of(first->bytes(), [](std::byte each) { return each == std::byte{9}; }));
    CHECK(borrower.items->held_bytes() == 1'100);
    const base::Buffer part = second->slice(10, 1);
    first.reset();
    second.reset();
    CHECK(borrower.items->held_bytes() == 1'000);
    CHECK(borrower.items->given_back_bytes() == 100);
    CHECK(borrower.items->take_given_back(10) == std::vector<std::uint64_t>{1});
    CHECK(borrower.items->given_back_bytes() == 0);
    CHECK(borrower.items->take_given_back(10).empty());
}

TEST_CASE("what has no room in one frame is given back in several") {
    Borrower borrower;
    for (std::uint64_t event = 1; event <= 5; ++event) {
        CHECK(borrower.take(event, 0, 10));
    }
    std::vector<std::uint64_t> all;
    for (const std::size_t count : {2u, 2u, 1u, 0u}) {
        const auto some = borrower.items->take_given_back(2);
        CHECK(some.size() == count);
        all.insert(all.end(), some.begin(), some.end());
    }
    std::ranges::sort(all);
    CHECK(all == std::vector<std::uint64_t>{1, 2, 3, 4, 5});
}

TEST_CASE("a payload outlives its connection") {
    Borrower borrower;
    borrower.memory.bytes()[7] = std::byte{7};
    auto payload = borrower.take(1, 0, 100);
    borrower.items.reset();
    CHECK(payload->bytes()[7] == std::byte{7});
    payload.reset();
}

TEST_CASE("what does not lie in the memory is none") {
    Borrower borrower;
    CHECK_FALSE(borrower.take(1, kBytes, 1));
    CHECK_FALSE(borrower.take(1, 1, kBytes));
    CHECK_FALSE(borrower.take(1, UINT32_MAX, UINT32_MAX));
    CHECK(borrower.items->held_bytes() == 0);
}
