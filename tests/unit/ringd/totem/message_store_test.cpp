#include "ringd/totem/message_store.hpp"

#include <doctest/doctest.h>

namespace {

using base::NodeId;
using totem::MessageStore;
using totem::Seq;
using totem::SeqRange;

bool put(MessageStore& store, std::uint64_t seq) {
    const std::byte payload[] = {std::byte{1}};
    return store.insert(Seq{seq}, NodeId{1}, base::Buffer::copy_of(payload));
}

std::vector<SeqRange> gaps(const MessageStore& store, std::uint64_t up_to, std::size_t most = 99) {
    std::vector<SeqRange> out;
    store.gaps(Seq{up_to}, most, out);
    return out;
}

SeqRange range(std::uint64_t first, std::uint64_t last) {
    return {Seq{first}, Seq{last}};
}

}  // namespace

TEST_CASE("aru follows what is contiguous, in every order of three messages") {
    const int orders[][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};
    for (const auto& order : orders) {
        MessageStore store;
        for (const int seq : order)
            CHECK(put(store, static_cast<std::uint64_t>(seq)));
        CHECK(store.aru() == Seq{3});
        CHECK(store.high() == Seq{3});
    }
}

TEST_CASE("a message is stored once") {
    MessageStore store;
    CHECK(put(store, 2));
    CHECK_FALSE(put(store, 2));
    CHECK(put(store, 1));
    CHECK_FALSE(put(store, 1));
    store.release(Seq{2});
    CHECK_FALSE(put(store, 1));
    CHECK(store.find(Seq{1}) == nullptr);
    CHECK(store.has(Seq{1}));
}

TEST_CASE("gaps are ranges, the lowest first") {
    MessageStore store;
    CHECK(gaps(store, 0).empty());
    CHECK(gaps(store, 3) == std::vector{range(1, 3)});
    for (const std::uint64_t seq : {1u, 4u, 5u, 8u})
        put(store, seq);
    CHECK(gaps(store, 8) == std::vector{range(2, 3), range(6, 7)});
    CHECK(gaps(store, 10) == std::vector{range(2, 3), range(6, 7), range(9, 10)});
    CHECK(gaps(store, 10, 1) == std::vector{range(2, 3)});
    CHECK(gaps(store, 2) == std::vector{range(2, 2)});
}

TEST_CASE("the store grows to its bound, keeps all, and refuses what lies beyond") {
    MessageStore store;
    for (std::uint64_t seq = 1; seq <= 3000; ++seq)
        CHECK(put(store, seq));
    store.release(Seq{2500});
    for (std::uint64_t seq = 2501; seq <= 3000; ++seq)
        CHECK(store.find(Seq{seq}) != nullptr);
    CHECK(put(store, 3000 + totem::kUnstableSeqsMax));
    CHECK_FALSE(put(store, 3001 + totem::kUnstableSeqsMax));
    CHECK(store.find(Seq{2501}) != nullptr);
    CHECK(store.high() == Seq{3000 + totem::kUnstableSeqsMax});
}

TEST_CASE("holdings say exactly what is here") {
    MessageStore store;
    for (const std::uint64_t seq : {1u, 2u, 4u, 20u})
        put(store, seq);
    const totem::Holdings holdings = store.holdings();
    CHECK(holdings.is_canonical());
    for (std::uint64_t seq = 1; seq <= 30; ++seq) {
        CAPTURE(seq);
        CHECK(holdings.has(Seq{seq}) == store.has(Seq{seq}));
    }
}
