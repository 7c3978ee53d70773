// Batches: what follows each other in them is one run, and the same bytes again.
#include "cpgd/core/record.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "common/protocol/codec.hpp"

namespace {

using namespace cpg;

Record mcast(std::uint64_t session, std::uint64_t number, std::uint32_t handle, std::size_t bytes) {
    return Mcast{.session = SessionId{session},
                 .number = number,
                 .handle = GroupHandle{handle},
                 .message_bytes = bytes,
                 .payload = base::Buffer::copy_of(
                     std::vector<std::byte>(bytes, static_cast<std::byte>(number)))};
}

Batch batch_of(std::vector<Record> records) {
    return {.incarnation = protocol::Incarnation{5},
            .place = {.life = 7, .number = 1},
            .records = std::move(records)};
}

// Lengths of the runs, and 0 for any other record.
std::vector<std::size_t> shape_of(const Batch& batch) {
    std::vector<std::size_t> shape;
    for (const Record& record : batch.records) {
        const auto* run = std::get_if<McastRun>(&record);
        shape.push_back(run == nullptr ? 0 : run->messages.count());
    }
    return shape;
}

}  // namespace

TEST_CASE("messages that follow each other are one run, whatever ends it") {
    constexpr std::size_t kMax = protocol::cpg::kRunPayloadMax;
    struct Case {
        const char* what;
        std::vector<Record> records;
        std::vector<std::size_t> shape;
    };
    const std::vector<Case> cases{
        {"one", {mcast(1, 1, 9, 3)}, {0}},
        {"three, one without payload",
         {mcast(1, 4, 9, 3), mcast(1, 5, 9, 0), mcast(1, 6, 9, 9)},
         {3}},
        {"a gap", {mcast(1, 1, 9, 3), mcast(1, 2, 9, 3), mcast(1, 4, 9, 3)}, {2, 0}},
        {"another session", {mcast(1, 1, 9, 3), mcast(1, 2, 9, 3), mcast(2, 3, 9, 3)}, {2, 0}},
        {"another handle", {mcast(1, 1, 9, 3), mcast(1, 2, 8, 3), mcast(1, 3, 8, 3)}, {0, 2}},
        {"a long one", {mcast(1, 1, 9, 3), mcast(1, 2, 9, kMax + 1), mcast(1, 3, 9, 3)}, {0, 0, 0}},
        {"another record",
         {mcast(1, 1, 9, 3), mcast(1, 2, 9, 3), Marker{.nonce = 1}, mcast(1, 3, 9, 3)},
         {2, 0, 0}}};
    for (const Case& each : cases) {
        CAPTURE(each.what);
        const base::Buffer bytes = encode_batch(batch_of(each.records));
        const auto decoded = decode_batch(bytes);
        REQUIRE(decoded);
        CHECK(shape_of(*decoded) == each.shape);
        CHECK(std::ranges::equal(encode_batch(*decoded).bytes(), bytes.bytes()));
        std::size_t most = kBatchHeaderBytes;
        for (const Record& record : decoded->records) {
            most += encoded_bytes_max(record);
        }
        CHECK(bytes.size() <= most);
    }
}

TEST_CASE("a run is cut where it would be too long") {
    std::vector<Record> many;
    for (std::uint64_t number = 1; number <= protocol::cpg::kRunMessagesMax + 3; ++number) {
        many.push_back(mcast(1, number, 9, 1));
    }
    std::vector<Record> large;
    for (std::uint64_t number = 1; number <= 17; ++number) {
        large.push_back(mcast(1, number, 9, protocol::cpg::kRunPayloadMax));
    }
    CHECK(shape_of(*decode_batch(encode_batch(batch_of(many)))) ==
          std::vector<std::size_t>{protocol::cpg::kRunMessagesMax, 3});
    CHECK(shape_of(*decode_batch(encode_batch(batch_of(large)))) ==
          std::vector<std::size_t>{15, 2});
}

TEST_CASE("runs that follow each other are one, and those alone") {
    const auto decoded =
        decode_batch(encode_batch(batch_of({mcast(1, 1, 9, 3), mcast(1, 2, 9, 0)})));
    const auto later = decode_batch(encode_batch(batch_of({mcast(1, 3, 9, 5), mcast(1, 4, 9, 1)})));
    REQUIRE(decoded);
    REQUIRE(later);
    const Record first = decoded->records.front();
    const Record second = later->records.front();
    const auto shape = [](std::vector<Record> records) {
        return shape_of(*decode_batch(encode_batch(batch_of(std::move(records)))));
    };
    using Shape = std::vector<std::size_t>;
    CHECK(shape({first, second}) == Shape{4});
    CHECK(shape({second, first}) == Shape{2, 2});
    CHECK(shape({first, mcast(1, 3, 9, 7), mcast(1, 4, 9, 7)}) == Shape{4});

    const auto joined = decode_batch(encode_batch(batch_of({first, second})));
    std::vector<std::size_t> lengths;
    std::get<McastRun>(joined->records.front()).messages.for_each([&](auto payload) {
        lengths.push_back(payload.size());
    });
    CHECK(lengths == std::vector<std::size_t>{3, 0, 5, 1});
}

TEST_CASE("every truncation in a run is refused, and numbers that end") {
    const base::Buffer bytes =
        encode_batch(batch_of({mcast(1, 1, 9, 3), mcast(1, 2, 9, 3), mcast(1, 3, 9, 3)}));
    for (std::size_t length = kBatchHeaderBytes + 1; length < bytes.size(); ++length) {
        CAPTURE(length);
        CHECK_FALSE(decode_batch(bytes.slice(0, length)).has_value());
    }
    const auto numbered_from = [](std::uint64_t number) {
        return decode_batch(encode_batch(batch_of({mcast(1, number, 9, 3)}))).has_value();
    };
    CHECK(numbered_from(UINT64_MAX - 1));
    CHECK_FALSE(numbered_from(UINT64_MAX));
}
