#include "common/protocol/ring_api.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string_view>

using namespace protocol;

namespace {

base::Buffer bytes_of(std::string_view text) {
    return base::Buffer::copy_of(std::as_bytes(std::span(text)));
}

const base::RingId kRing{.seq = 0x1122, .representative = base::NodeId{3}};

std::vector<ServiceFrame> service_frames() {
    return {
        Attach{.role = Attach::Role::Service,
               .channel = "cpg",
               .incarnation = Incarnation{77},
               .applied = Cursor{12},
               .submitted = 34},
        Attach{.role = Attach::Role::Observer,
               .channel = "a.b_c-0",
               .incarnation = {},
               .applied = {},
               .submitted = 0},
        Submit{.number = 3,
               .after = 1,
               .safe = false,
               .urgent = true,
               .incarnation = Incarnation{7},
               .channel = "cpg",
               .payload = bytes_of("hello")},
        Submit{.number = UINT64_MAX,
               .after = UINT64_MAX - 1,
               .safe = true,
               .urgent = false,
               .incarnation = Incarnation{UINT64_MAX},
               .channel = "c",
               .payload = {}},
        Ack{.applied = Cursor{5}},
        Received{.event = Cursor{6}},
        Detach{},
        GivenBack{.events = {3, 1, UINT64_MAX}},
    };
}

std::vector<RingFrame> ring_frames() {
    const base::NodeId one{1};
    const base::NodeId two{2};
    return {
        Attached{.self = one,
                 .resumed = true,
                 .taken = 9,
                 .window_bytes = 1u << 20u,
                 .event_bytes = 3u << 20u,
                 .last_ordinary = 8,
                 .last_urgent = 9},
        Refused{.afresh = true, .reason = "channel cpg: another service is attached"},
        Taken{.number = 8, .window_bytes = 0},
        Event{.cursor = Cursor{1}, .what = Transitional{.next = kRing, .members = {one, two}}},
        Event{.cursor = Cursor{2},
              .what = View{.ring = kRing,
                           .version = 4,
                           .members = {{.node = one, .incarnation = Incarnation{5}},
                                       {.node = two, .incarnation = Incarnation{5}}},
                           .left = {base::NodeId{9}},
                           .joined = {two},
                           .ring_members = {one, two, base::NodeId{7}}}},
        Event{.cursor = Cursor{3},
              .what = Batch{.ring = kRing,
                            .seq = 100,
                            .index = 2,
                            .sender = two,
                            .number = 6,
                            .payload = bytes_of("payload")}},
        BatchInArea{
            .cursor = Cursor{4},
            .batch =
                {.ring = kRing, .seq = 101, .index = 0, .sender = two, .number = 7, .payload = {}},
            .offset = 1024,
            .payload_bytes = 5000},
    };
}

template <class Frame>
bool same_bytes(const Frame& a, const Frame& b) {
    return std::ranges::equal(encode(a).bytes(), encode(b).bytes());
}

template <class Decode>
void refuse_every_truncation(const base::Buffer& whole, std::size_t header, Decode decode) {
    // A payload has no length of its own: it may be cut, the header may not.
    for (std::size_t length = 0; length < header; ++length) {
        const auto cut = decode(whole.slice(0, length));
        REQUIRE(!cut);
        CHECK(cut.error() == FrameError::Truncated);
    }
}

void set_byte(base::Buffer& frame, std::size_t at, unsigned value) {
    base::MutableBuffer copy(frame.size());
    std::ranges::copy(frame.bytes(), copy.data());
    copy.bytes()[at] = static_cast<std::byte>(value);
    frame = std::move(copy).freeze();
}

}  // namespace

TEST_CASE("every frame comes back as it was encoded, and no truncation is taken") {
    for (const ServiceFrame& frame : service_frames()) {
        const base::Buffer whole = encode(frame);
        const auto back = decode_service_frame(whole);
        REQUIRE(back);
        CHECK(back->index() == frame.index());
        CHECK(same_bytes(*back, frame));
        refuse_every_truncation(whole, encode_header(frame).size(), decode_service_frame);
    }
    for (const RingFrame& frame : ring_frames()) {
        const base::Buffer whole = encode(frame);
        const auto back = decode_ring_frame(whole);
        REQUIRE(back);
        CHECK(back->index() == frame.index());
        CHECK(same_bytes(*back, frame));
        refuse_every_truncation(whole, encode_header(frame).size(), decode_ring_frame);
    }
}

TEST_CASE("fields keep their values") {
    const auto frame = decode_service_frame(encode(service_frames()[0]));
    REQUIRE(frame);
    const auto& attach = std::get<Attach>(*frame);
    CHECK(attach.channel == "cpg");
    CHECK(attach.incarnation == Incarnation{77});
    CHECK(attach.applied == Cursor{12});
    CHECK(attach.submitted == 34);

    const auto event = decode_ring_frame(encode(ring_frames()[4]));
    REQUIRE(event);
    const auto& view = std::get<View>(std::get<Event>(*event).what);
    CHECK(view.version == 4);
    CHECK(view.members.size() == 2);
    CHECK(view.members[1] == ViewMember{.node = base::NodeId{2}, .incarnation = Incarnation{5}});
    CHECK(view.left == std::vector{base::NodeId{9}});
    CHECK(view.ring_members.size() == 3);
}

TEST_CASE("the layout of a Submit is the documented one") {
    const base::Buffer frame = encode(service_frames()[2]);
    const std::string_view expected(
        "\x02\x02\1\0"
        "\3\0\0\0\0\0\0\0"
        "\1\0\0\0\0\0\0\0"
        "\7\0\0\0\0\0\0\0"
        "\3\0cpghello",
        38);
    REQUIRE(frame.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(frame.bytes()[i] == static_cast<std::byte>(expected[i]));
    }
}

TEST_CASE("the examples of docs/wire-format-local.md are what we read and write") {
    using namespace std::string_view_literals;
    const base::Buffer attach = bytes_of(
        "\x01\x01\x01\0"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0\0\0\0\0\0\0\x03\0cpg"sv);
    const auto observer = decode_service_frame(attach);
    REQUIRE(observer);
    CHECK(std::get<Attach>(*observer).role == Attach::Role::Observer);
    CHECK(std::get<Attach>(*observer).channel == "cpg");

    const base::Buffer expected = bytes_of(
        "\x16\0\x01\0\x04\0\0\0\0\0\0\0"
        "\x0c\0\0\0\0\0\0\0\x01\0\0\0"
        "\x59\x01\0\0\0\0\0\0\0\0\0\0"
        "\x02\0\0\0\x4d\0\0\0\0\0\0\0"
        "hi"sv);
    const Event event{.cursor = Cursor{4},
                      .what = Batch{.ring = {.seq = 12, .representative = base::NodeId{1}},
                                    .seq = 345,
                                    .index = 0,
                                    .sender = base::NodeId{2},
                                    .number = 77,
                                    .payload = bytes_of("hi")}};
    CHECK(std::ranges::equal(encode(RingFrame{event}).bytes(), expected.bytes()));
}

TEST_CASE("a decoded payload lies in the frame's memory") {
    const base::Buffer frame = encode(service_frames()[2]);
    const auto back = decode_service_frame(frame);
    REQUIRE(back);
    CHECK(std::get<Submit>(*back).payload.data() == frame.data() + 33);
}

TEST_CASE("what no peer of ours sends is refused") {
    base::Buffer unknown = encode(service_frames()[4]);
    set_byte(unknown, 0, 0x7f);
    CHECK(decode_service_frame(unknown).error() == FrameError::UnknownType);
    CHECK(decode_ring_frame(unknown).error() == FrameError::UnknownType);

    base::Buffer later = encode(service_frames()[4]);
    set_byte(later, 2, 2);
    CHECK(decode_service_frame(later).error() == FrameError::WrongVersion);

    for (ServiceFrame frame : service_frames()) {
        base::Buffer flagged = encode(frame);
        set_byte(flagged, 1, 0x80);
        CHECK(decode_service_frame(flagged).error() == FrameError::OutOfRange);
    }

    base::Buffer longer = encode(service_frames()[4]);
    base::MutableBuffer more(longer.size() + 1);
    std::ranges::fill(more.bytes(), std::byte{0});
    std::ranges::copy(longer.bytes(), more.data());
    CHECK(decode_service_frame(std::move(more).freeze()).error() == FrameError::TrailingBytes);

    base::Buffer numberless = encode(service_frames()[2]);
    set_byte(numberless, 4, 0);  // Its `after` is not below it.
    CHECK(decode_service_frame(numberless).error() == FrameError::OutOfRange);

    // A service without an incarnation, an observer with one, and a name that could be a path.
    base::Buffer lifeless = encode(service_frames()[0]);
    set_byte(lifeless, 4, 0);
    CHECK(decode_service_frame(lifeless).error() == FrameError::OutOfRange);
    base::Buffer living = encode(service_frames()[1]);
    set_byte(living, 4, 1);
    CHECK(decode_service_frame(living).error() == FrameError::OutOfRange);
    base::Buffer path = encode(service_frames()[0]);
    set_byte(path, path.size() - 1, '/');
    CHECK(decode_service_frame(path).error() == FrameError::OutOfRange);
}

TEST_CASE("lists must ascend and announce no more than follows") {
    const base::Buffer frame = encode(ring_frames()[3]);
    const std::size_t list = 4 + 8 + 12;
    base::Buffer endless = frame;
    set_byte(endless, list + 3, 0xff);
    CHECK(decode_ring_frame(endless).error() == FrameError::Truncated);
    base::Buffer repeated = frame;
    set_byte(repeated, list + 8, 1);  // 1, 1
    CHECK(decode_ring_frame(repeated).error() == FrameError::OutOfRange);
    base::Buffer nobody = frame;
    set_byte(nobody, list + 4, 0);  // 0, 2
    CHECK(decode_ring_frame(nobody).error() == FrameError::OutOfRange);
}
