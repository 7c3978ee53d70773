#include "common/base/buffer.hpp"

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <optional>

using base::Buffer;
using base::MutableBuffer;

namespace {

// Memory that is not of the heap, and how often it was given back.
struct Lent : Buffer::Block {
    Lent()
        : Block{.give_back = [](Block* block) noexcept { ++static_cast<Lent*>(block)->returned; }} {
    }

    std::array<std::byte, 100> memory{};
    int returned = 0;
};

// Made where the compiler does not see it: it would say that a Buffer may free it.
[[gnu::noinline]] std::unique_ptr<Lent> lent_memory() {
    return std::make_unique<Lent>();
}

}  // namespace

TEST_CASE("memory that is not of the heap goes back once, after its last owner") {
    const std::unique_ptr<Lent> first = lent_memory();
    Lent& lent = *first;
    {
        std::optional<Buffer> whole = Buffer::of(lent, lent.memory);
        CHECK(whole->data() == lent.memory.data());
        CHECK(whole->size() == 100);
        Buffer part = whole->slice(10, 20);
        whole.reset();
        Buffer moved = std::move(part);
        const Buffer copy(moved);
        moved = {};
        CHECK(copy.data() == lent.memory.data() + 10);
        CHECK(lent.returned == 0);
    }
    CHECK(lent.returned == 1);
}

TEST_CASE("such memory is written as any other before it is frozen") {
    const std::unique_ptr<Lent> first = lent_memory();
    const std::unique_ptr<Lent> second = lent_memory();
    Lent& lent = *first;
    Lent& other = *second;
    {
        MutableBuffer writing(lent, lent.memory);
        CHECK(writing.size() == 100);
        writing.data()[3] = std::byte{7};
        MutableBuffer moved(std::move(writing));
        const Buffer part = moved.share(3, 1);
        CHECK(moved.is_shared());
        const Buffer frozen = std::move(moved).freeze(50);
        CHECK(frozen.size() == 50);
        CHECK(frozen.bytes()[3] == std::byte{7});
        CHECK(part.data() == frozen.data() + 3);
        CHECK(lent.returned == 0);
    }
    CHECK(lent.returned == 1);
    { const MutableBuffer unwritten(other, other.memory); }
    CHECK(other.returned == 1);
}
