// The frames between cmapd and its clients, and the values in them: what we send comes back the
// same, and every way it can be wrong is told.
#include "common/protocol/cmap_api.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace {

using base::Buffer;
using protocol::FrameError;
using namespace protocol::cmap;

bool same(const Buffer& a, const Buffer& b) {
    return std::ranges::equal(a.bytes(), b.bytes());
}

Buffer with_byte(const Buffer& frame, std::size_t at, std::uint8_t value) {
    std::vector<std::byte> bytes(frame.bytes().begin(), frame.bytes().end());
    bytes.at(at) = std::byte{value};
    return Buffer::copy_of(bytes);
}

Buffer with_tail(const Buffer& frame) {
    std::vector<std::byte> bytes(frame.bytes().begin(), frame.bytes().end());
    bytes.push_back(std::byte{0});
    return Buffer::copy_of(bytes);
}

std::vector<Request> requests() {
    return {Get{.map = Map::Stats, .key = "stats.srp.mcast_tx"},
            Set{.key = "a.key", .value = text("value")},
            Delete{.key = "a.key"},
            Step{.key = "a.key", .step = -1},
            Iterate{.prefix = "a.", .after = "a.key"},
            List{.map = Map::Stats, .prefix = "", .after = ""},
            TrackAdd{.track = TrackId{7},
                     .key = "a.",
                     .prefix = true,
                     .events = kEventBits,
                     .since = Revision{12}},
            TrackDelete{.track = TrackId{7}},
            Transaction{.conditions = {{.key = "a.key", .value = u32(1)},
                                       {.key = "b.key", .value = std::nullopt}},
                        .writes = {{.key = "a.key", .value = std::nullopt},
                                   {.key = "b.key", .value = u8(2)}}},
            Get{.key = "cluster.key", .own = true},
            List{.prefix = "cluster.", .after = "cluster.key", .own = true}};
}

std::vector<Answer> answers() {
    return {Refusal{.reason = "no such key"},
            Got{.value = u64(UINT64_MAX)},
            Next{.key = "a.key", .type = Type::String, .bytes = 6},
            Listed{.items = {{.key = "a.key", .value = u16(1)},
                             {.key = "b.key", .value = {.type = Type::Binary, .bytes = ""}}},
                   .more = true},
            Tracking{.revision = Revision{12}},
            Done{.revision = Revision{12}, .failed_condition = 3}};
}

std::vector<Changed> changes() {
    const auto change = [](std::uint8_t kind, std::optional<Value> before,
                           std::optional<Value> after) {
        return Changed{.track = TrackId{7},
                       .revision = Revision{12},
                       .kind = kind,
                       .key = "a.key",
                       .old_value = std::move(before),
                       .new_value = std::move(after)};
    };
    return {change(kAdd, std::nullopt, u8(1)), change(kModify, u8(1), text("x")),
            change(kDelete, text("x"), std::nullopt), change(kModify, std::nullopt, u8(1))};
}

template <class Frames, class Decode>
void check_frames(const Frames& frames, Decode decode) {
    for (const auto& frame : frames) {
        const Buffer bytes = encode(frame);
        const auto decoded = decode(bytes);
        REQUIRE(decoded);
        CHECK(same(encode(*decoded), bytes));
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            CAPTURE(length);
            REQUIRE_FALSE(decode(bytes.slice(0, length)));
        }
        CHECK(decode(with_tail(bytes)).error() == FrameError::TrailingBytes);
        CHECK(decode(with_byte(bytes, 1, 2)).error() == FrameError::WrongVersion);
        CHECK(decode(with_byte(bytes, 0, 0x7f)).error() == FrameError::UnknownType);
    }
}

TEST_CASE("each frame comes back the same, and no truncation of it is another") {
    check_frames(requests(), decode_request);
    check_frames(answers(), decode_answer);
    check_frames(changes(), decode_changed);
}

TEST_CASE("what is out of range is refused") {
    const Buffer get = encode(Request{Get{.key = "a.key"}});
    CHECK(decode_request(with_byte(get, 2, 2)).error() == FrameError::OutOfRange);
    const Buffer got = encode(Answer{Got{.value = u8(1)}});
    CHECK(decode_answer(with_byte(got, 2, 0)).error() == FrameError::OutOfRange);
    CHECK(decode_answer(with_byte(got, 2, 13)).error() == FrameError::OutOfRange);
    // One byte is no u16.
    CHECK(decode_answer(with_byte(got, 2, 4)).error() == FrameError::OutOfRange);
    const Buffer track = encode(Request{requests().at(6)});
    CHECK(decode_request(with_byte(track, 2 + 1 + 8 + 2 + 2 + 1, 8)).error() ==
          FrameError::OutOfRange);
    Buffer added = encode(changes().at(0));
    CHECK(decode_changed(with_byte(added, 2 + 16, kDelete)).error() == FrameError::OutOfRange);
    CHECK(decode_changed(with_byte(added, 2 + 16, 3)).error() == FrameError::OutOfRange);
}

TEST_CASE("a transaction of too many is refused before memory is taken for it") {
    Transaction all;
    for (std::size_t i = 0; i < kTransactionItemsMax; ++i) {
        all.writes.push_back({.key = "a.key", .value = std::nullopt});
    }
    const Buffer most = encode(Request{all});
    REQUIRE(decode_request(most));
    std::vector<std::byte> bytes(most.bytes().begin(), most.bytes().end());
    bytes.at(2 + 4) = std::byte{1};  // 257.
    for (const char c : {'\5', '\0', 'a', '.', 'k', 'e', 'y', '\0'}) {
        bytes.push_back(static_cast<std::byte>(c));
    }
    CHECK(decode_request(Buffer::copy_of(bytes)).error() == FrameError::OutOfRange);
}

TEST_CASE("names of keys are what Corosync takes") {
    for (const char* good : {"abc", "a.b", "A-Z_0/9:x"}) {
        CHECK(is_key(good));
    }
    for (const char* bad : {"", "ab", "a b", "a\tb", "a=b", "ä.b", "a,b"}) {
        CHECK_FALSE(is_key(bad));
    }
    CHECK(is_key(std::string(255, 'x')));
    CHECK_FALSE(is_key(std::string(256, 'x')));
}

TEST_CASE("a text is cut at its NUL, and has exactly one") {
    CHECK(value_of(Type::String, "abc") == text("abc"));
    CHECK(value_of(Type::String, std::string_view("abc\0", 4)) == text("abc"));
    CHECK_FALSE(value_of(Type::String, std::string_view("abc\0d", 5)));
    CHECK(value_of(Type::String, "")->bytes.size() == 1);
    CHECK(value_of(Type::String, std::string(kValueBytesMax, 'x')));
    CHECK_FALSE(value_of(Type::String, std::string(kValueBytesMax + 1, 'x')));
    CHECK_FALSE(is_valid({.type = Type::String, .bytes = "abc"}));
    CHECK_FALSE(is_valid({.type = Type::String, .bytes = ""}));
}

TEST_CASE("a number has its type's length, and bytes have any up to the bound") {
    for (int type = 1; type <= 10; ++type) {
        const Type one = static_cast<Type>(type);
        for (std::size_t length = 0; length <= 9; ++length) {
            CHECK(value_of(one, std::string(length, 'x')).has_value() == (length == size_of(one)));
        }
    }
    CHECK(value_of(Type::Binary, ""));
    CHECK(value_of(Type::Binary, std::string(kValueBytesMax, 'x')));
    CHECK_FALSE(value_of(Type::Binary, std::string(kValueBytesMax + 1, 'x')));
}

}  // namespace
