#include "ringd/transport/send_memory.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>

using transport::SendMemory;

TEST_CASE("a piece lies in the memory and ends where the next one begins") {
    SendMemory memory(8192);
    const auto first = memory.take(100);
    const auto second = memory.take(200);
    REQUIRE(first.has_value());
    REQUIRE(second.has_value());
    CHECK(first->bytes.data() == memory.all().data());
    CHECK(second->bytes.data() == memory.all().data() + 100);
    CHECK(second->end == first->end + 200);
}

TEST_CASE("all of it can be taken, and no more until some is released") {
    SendMemory memory(8192);
    const auto all = memory.take(8192);
    REQUIRE(all.has_value());
    CHECK_FALSE(memory.take(1).has_value());
    memory.release(all->end);
    CHECK(memory.take(8192).has_value());
}

TEST_CASE("a piece is never split at the end of the memory") {
    SendMemory memory(8192);
    const auto first = memory.take(5000);
    const auto second = memory.take(3000);
    REQUIRE(second.has_value());
    memory.release(first->end);
    // 192 bytes are left at the end and 5,000 at the start.
    CHECK_FALSE(memory.take(5001).has_value());
    const auto third = memory.take(4000);
    REQUIRE(third.has_value());
    CHECK(third->bytes.data() == memory.all().data());
}

TEST_CASE("what is released twice, or out of order, frees nothing more") {
    SendMemory memory(4096);
    const auto first = memory.take(2048);
    const auto second = memory.take(2048);
    memory.release(second->end);
    memory.release(first->end);
    CHECK(memory.take(4096).has_value());
}

TEST_CASE("pieces in use never overlap, whatever is taken and released") {
    SendMemory memory(16384);
    std::mt19937 random(4711);
    std::deque<SendMemory::Piece> used;
    int refused = 0;
    for (int i = 0; i < 20000; ++i) {
        if (!used.empty() && random() % 3 == 0) {
            memory.release(used.front().end);
            used.pop_front();
        }
        const auto piece = memory.take(1 + random() % 4000);
        if (!piece) {
            ++refused;
            if (used.empty()) FAIL("refused although all is free");
            memory.release(used.front().end);
            used.pop_front();
            continue;
        }
        for (const auto& other : used) {
            const bool apart = piece->bytes.data() + piece->bytes.size() <= other.bytes.data() ||
                               other.bytes.data() + other.bytes.size() <= piece->bytes.data();
            REQUIRE(apart);
        }
        REQUIRE(piece->bytes.data() >= memory.all().data());
        REQUIRE(piece->bytes.data() + piece->bytes.size() <=
                memory.all().data() + memory.all().size());
        used.push_back(*piece);
    }
    CHECK(refused > 0);
}
