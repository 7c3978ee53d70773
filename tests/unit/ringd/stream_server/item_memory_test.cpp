#include "ringd/stream_server/item_memory.hpp"

#include <doctest/doctest.h>

#include <vector>

using stream::ItemMemory;

namespace {

base::Buffer item(ItemMemory& memory, std::size_t bytes) {
    return memory.allocate(bytes).freeze();
}

}  // namespace

TEST_CASE("only long items lie in the area, and only when somebody wants that") {
    ItemMemory memory;
    CHECK_FALSE(memory.offset_of(item(memory, 100'000)));
    CHECK(memory.area_number() == 0);
    memory.set_wanted(true);
    const base::Buffer first = item(memory, 100'000);
    const base::Buffer second = item(memory, ItemMemory::kItemBytesMin);
    const base::Buffer third = item(memory, ItemMemory::kItemBytesMin - 1);
    CHECK(memory.offset_of(first) == 0);
    CHECK(memory.offset_of(second) > 0);
    CHECK(memory.offset_of(second.slice(33)) == *memory.offset_of(second) + 33);
    CHECK_FALSE(memory.offset_of(third));
    CHECK_FALSE(memory.offset_of(base::Buffer{}));
    memory.set_wanted(false);
    CHECK_FALSE(memory.offset_of(item(memory, 100'000)));
    CHECK(memory.offset_of(first) == 0);
}

TEST_CASE(
    "a place is free again when nobody has its item, and without room items lie in the heap") {
    ItemMemory memory;
    memory.set_wanted(true);
    std::vector<base::Buffer> items;
    while (items.size() * 1'000'000 < ItemMemory::kBytes - 1'000'000) {
        items.push_back(item(memory, 1'000'000));
        CHECK(memory.offset_of(items.back()));
    }
    const base::Buffer last = items.back().slice(500'000, 10);
    CHECK_FALSE(memory.offset_of(item(memory, 1'000'000)));
    items.pop_back();
    CHECK_FALSE(memory.offset_of(item(memory, 1'000'000)));  // A part of it is held.
    items.clear();
    CHECK(memory.offset_of(item(memory, 1'000'000)) == 0);
    CHECK(memory.taken_bytes() >= 1'000'000);
    CHECK(memory.taken_bytes() < 1'002'000);
}

TEST_CASE("what lies in an area that was left stays as it is") {
    ItemMemory memory;
    memory.set_wanted(true);
    base::MutableBuffer writing = memory.allocate(10'000);
    writing.data()[9'999] = std::byte{5};
    base::Buffer before = std::move(writing).freeze();
    CHECK(memory.area_number() == 1);
    CHECK(memory.descriptor().is_open());
    memory.leave_area();
    CHECK(memory.area_number() == 0);
    CHECK_FALSE(memory.descriptor().is_open());
    CHECK_FALSE(memory.offset_of(before));
    const base::Buffer after = item(memory, 10'000);
    CHECK(memory.area_number() == 2);
    CHECK(memory.offset_of(after) == 0);
    CHECK(before.bytes()[9'999] == std::byte{5});
    before = {};
    CHECK(memory.offset_of(after) == 0);
}
