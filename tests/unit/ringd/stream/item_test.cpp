#include "ringd/stream/item.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

using protocol::FrameError;
using protocol::Incarnation;
using namespace stream;

namespace {

using Bytes = std::vector<std::byte>;

const base::RingId kRing{.seq = 0x1122, .representative = base::NodeId{3}};

// A Submit goes round as its service's frame.
base::Buffer bytes_of_item(const protocol::Submit& submit) {
    return protocol::encode(protocol::ServiceFrame{submit});
}
base::Buffer bytes_of_item(const auto& own) {
    return encode_item(own);
}
base::Buffer encode(const Item& item) {
    return std::visit([](const auto& of) { return bytes_of_item(of); }, item);
}

std::vector<Item> items() {
    return {
        AttachItem{.channel = "cpg", .incarnation = Incarnation{77}},
        DetachItem{.channel = std::string(protocol::kChannelNameMax, 'z'),
                   .incarnation = Incarnation{UINT64_MAX}},
        SyncItem{.ring = kRing, .attachments = {}},
        SyncItem{.ring = kRing,
                 .attachments = {{.channel = "cmap",
                                  .incarnation = Incarnation{5},
                                  .placed = {.ordinary = 9, .urgent = 2}},
                                 {.channel = "cpg",
                                  .incarnation = Incarnation{6},
                                  .placed = {.ordinary = 0, .urgent = UINT64_MAX}}}},
        FlowItem{.channel = "cpg", .stopped = true},
        FlowItem{.channel = "c", .stopped = false},
        protocol::Submit{.number = 3,
                         .after = 1,
                         .safe = true,
                         .urgent = false,
                         .incarnation = Incarnation{7},
                         .channel = "cpg",
                         .payload = base::Buffer::copy_of(std::as_bytes(std::span("hello", 5)))},
    };
}

Bytes bytes_of(const base::Buffer& item) {
    return {item.data(), item.data() + item.size()};
}

Bytes bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

auto decode(const Bytes& bytes) {
    return decode_item(base::Buffer::copy_of(bytes));
}

// The bytes of an item with some of them replaced from `at` on.
Bytes changed(const Item& item, std::size_t at, std::string_view by) {
    Bytes bytes = bytes_of(encode(item));
    REQUIRE(at + by.size() <= bytes.size());
    std::ranges::copy(bytes_of(by), bytes.begin() + static_cast<std::ptrdiff_t>(at));
    return bytes;
}

// Where things are in an item, after type, flags and version.
constexpr std::size_t kIncarnationAt = 4;
constexpr std::size_t kSyncCountAt = 4 + 12;
constexpr std::size_t kAttachmentsAt = kSyncCountAt + 4;

}  // namespace

TEST_CASE("every item comes back as it was encoded") {
    for (const Item& item : items()) {
        const auto back = decode_item(encode(item));
        REQUIRE(back);
        CHECK(back->index() == item.index());
        CHECK(bytes_of(encode(*back)) == bytes_of(encode(item)));
    }
}

TEST_CASE("fields keep their values") {
    const auto sync = decode_item(encode(items()[3]));
    REQUIRE(sync);
    const auto& exchanged = std::get<SyncItem>(*sync);
    CHECK(exchanged.ring == kRing);
    REQUIRE(exchanged.attachments.size() == 2);
    CHECK(exchanged.attachments[0].channel == "cmap");
    CHECK(exchanged.attachments[0].incarnation == Incarnation{5});
    CHECK(exchanged.attachments[0].placed == Numbers{.ordinary = 9, .urgent = 2});
    CHECK(exchanged.attachments[1].placed == Numbers{.ordinary = 0, .urgent = UINT64_MAX});

    const auto attach = decode_item(encode(items()[0]));
    REQUIRE(attach);
    CHECK(std::get<AttachItem>(*attach).channel == "cpg");
    CHECK(std::get<AttachItem>(*attach).incarnation == Incarnation{77});

    const auto flow = decode_item(encode(items()[4]));
    REQUIRE(flow);
    CHECK(std::get<FlowItem>(*flow).channel == "cpg");
    CHECK(std::get<FlowItem>(*flow).stopped);
}

TEST_CASE("the layouts are the documented ones") {
    using namespace std::string_view_literals;
    CHECK(bytes_of(encode(items()[4])) == bytes_of("\x24\0\1\0\1\3\0cpg"sv));
    CHECK(bytes_of(encode(items()[0])) == bytes_of("\x21\0\1\0\x4d\0\0\0\0\0\0\0\3\0cpg"sv));
    CHECK(bytes_of(encode(items()[2])) ==
          bytes_of("\x23\0\1\0\x22\x11\0\0\0\0\0\0\3\0\0\0\0\0\0\0"sv));
}

TEST_CASE("no truncation is taken, and nothing after the end") {
    for (const Item& item : items()) {
        CAPTURE(item.index());
        const Bytes whole = bytes_of(encode(item));
        const bool is_submit = std::holds_alternative<protocol::Submit>(item);
        // A payload has no length of its own: it may be cut, the head may not.
        const std::size_t head =
            whole.size() - (is_submit ? std::get<protocol::Submit>(item).payload.size() : 0);
        for (std::size_t length = 0; length < head; ++length) {
            CAPTURE(length);
            const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            const auto decoded = decode(cut);
            REQUIRE_FALSE(decoded);
            CHECK(decoded.error() == FrameError::Truncated);
        }
        Bytes longer = whole;
        longer.push_back(std::byte{0});
        const auto decoded = decode(longer);
        CHECK(decoded.has_value() == is_submit);
        if (!decoded) CHECK(decoded.error() == FrameError::TrailingBytes);
    }
}

TEST_CASE("what still decodes after a flipped bit encodes to just these bytes") {
    for (const Item& item : items()) {
        const Bytes whole = bytes_of(encode(item));
        for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
            CAPTURE(bit);
            Bytes flipped = whole;
            flipped[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
            const auto decoded = decode(flipped);
            if (decoded) CHECK(bytes_of(encode(*decoded)) == flipped);
        }
    }
}

TEST_CASE("what no member says is refused") {
    using namespace std::string_view_literals;
    const auto refusal = [](const Bytes& bytes) {
        const auto decoded = decode(bytes);
        REQUIRE_FALSE(decoded);
        return decoded.error();
    };
    const Item attach = items()[0];
    const Item sync = items()[3];
    const Item flow = items()[4];

    SUBCASE("of another type, version or with flags") {
        CHECK(refusal(changed(attach, 0, "\x25")) == FrameError::UnknownType);
        CHECK(refusal(changed(attach, 0, "\x20")) == FrameError::UnknownType);
        for (const Item& item : items()) {
            CHECK(refusal(changed(item, 2, "\2")) == FrameError::WrongVersion);
            CHECK(refusal(changed(item, 1, "\x80")) == FrameError::OutOfRange);
        }
    }
    SUBCASE("frames of a service that are no Submit have no place in the order") {
        const std::vector<protocol::ServiceFrame> others{
            protocol::Attach{.role = protocol::Attach::Role::Service,
                             .channel = "cpg",
                             .incarnation = Incarnation{1},
                             .applied = {},
                             .submitted = 0},
            protocol::Ack{.applied = protocol::Cursor{1}}, protocol::Detach{}};
        for (const protocol::ServiceFrame& frame : others) {
            CHECK(refusal(bytes_of(protocol::encode(frame))) == FrameError::UnknownType);
        }
    }
    SUBCASE("a life that is none, a name that could be a path, a flag that is neither") {
        CHECK(refusal(changed(attach, kIncarnationAt, "\0"sv)) == FrameError::OutOfRange);
        CHECK(refusal(changed(attach, bytes_of(encode(attach)).size() - 1, "/")) ==
              FrameError::OutOfRange);
        CHECK(refusal(changed(flow, 4, "\2")) == FrameError::OutOfRange);
        CHECK(refusal(bytes_of("\x24\0\1\0\1\0\0"sv)) == FrameError::OutOfRange);
    }
    SUBCASE("attachments out of order, twice, or without a life") {
        // Of "cmap" and "cpg": 24 bytes of numbers before each name, and its length.
        const std::size_t first_name = kAttachmentsAt + 24 + 2;
        CHECK(refusal(changed(sync, first_name, "cpga")) == FrameError::OutOfRange);
        CHECK(refusal(changed(sync, kAttachmentsAt, "\0"sv)) == FrameError::OutOfRange);

        SyncItem twice{
            .ring = kRing,
            .attachments = {{.channel = "cpg", .incarnation = Incarnation{1}, .placed = {}},
                            {.channel = "cpq", .incarnation = Incarnation{1}, .placed = {}}}};
        const Bytes bytes = bytes_of(encode_item(twice));
        CHECK(refusal(changed(Item{twice}, bytes.size() - 1, "g")) == FrameError::OutOfRange);
    }
    SUBCASE("a count beyond what follows or beyond what a node may have") {
        CHECK(refusal(changed(sync, kSyncCountAt + 3, "\xff")) == FrameError::Truncated);

        SyncItem most{.ring = kRing, .attachments = {}};
        for (std::size_t i = 0; i < kChannelsMax; ++i) {
            most.attachments.push_back({.channel = "c" + std::to_string(100 + i),
                                        .incarnation = Incarnation{1},
                                        .placed = {}});
        }
        CHECK(decode_item(encode_item(most)).has_value());
        Bytes one_more = bytes_of(encode_item(most));
        one_more[kSyncCountAt] = static_cast<std::byte>(kChannelsMax + 1);
        const Bytes another = bytes_of(
            "\1\0\0\0\0\0\0\0"
            "\0\0\0\0\0\0\0\0"
            "\0\0\0\0\0\0\0\0"
            "\4\0d000"sv);
        one_more.insert(one_more.end(), another.begin(), another.end());
        CHECK(refusal(one_more) == FrameError::OutOfRange);
    }
}

TEST_CASE("a Submit's payload lies in the memory of its item") {
    const base::Buffer bytes = encode(items()[6]);
    const auto item = decode_item(bytes);
    REQUIRE(item);
    const base::Buffer& payload = std::get<protocol::Submit>(*item).payload;
    CHECK(payload.size() == 5);
    CHECK(payload.data() + payload.size() == bytes.data() + bytes.size());
}
