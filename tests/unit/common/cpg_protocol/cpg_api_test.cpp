// The frames between cpgd and its clients: what we send comes back the same, and every way a frame
// can be wrong is told.
#include "common/protocol/cpg_api.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <vector>

namespace {

using base::Buffer;
using base::NodeId;
using protocol::FrameError;
using namespace protocol::cpg;

Buffer bytes_of(std::string_view text) {
    return Buffer::copy_of(std::as_bytes(std::span(text)));
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

bool same(const Buffer& a, const Buffer& b) {
    return std::ranges::equal(a.bytes(), b.bytes());
}

// "hello", "" and "!".
MessageRun run_of_three() {
    return *MessageRun::parse(bytes_of(std::string_view("\5\0hello\0\0\1\0!", 12)));
}
// Where a run may end and be a shorter one: behind its first and its second message.
bool ends_a_message(std::size_t header, std::size_t length) {
    return length == header + 7 || length == header + 9;
}

std::vector<ClientFrame> client_frames() {
    return {
        Hello{.session = SessionId{77},
              .pid = 4711,
              .last_event = 12,
              .totem_events = true,
              .initial_totem_event = false,
              .separate_events = true},
        Join{.request = 1, .handle = GroupHandle{9}, .group = std::string("crmd\0", 5)},
        Join{.request = 2, .handle = GroupHandle{0}, .group = ""},
        Leave{.request = 3, .handle = GroupHandle{9}},
        MembershipGet{.request = 4, .group = "attrd"},
        GroupsGet{.request = 5, .one_group = false, .group = ""},
        GroupsGet{.request = 6, .one_group = true, .group = "attrd"},
        Mcast{.number = 1,
              .handle = GroupHandle{9},
              .safe = true,
              .part = Mcast::Part::Whole,
              .message_bytes = 5,
              .payload = bytes_of("hello")},
        Mcast{.number = 2, .handle = GroupHandle{9}, .payload = {}},
        Mcast{.number = 3,
              .handle = GroupHandle{9},
              .part = Mcast::Part::Middle,
              .message_bytes = 5'000'000'000,
              .payload = bytes_of("part")},
        EventAck{.event = 1'000},
        Goodbye{.request = 7},
        Keep{.request = 8},
        EventsHere{.session = SessionId{77}, .last_event = 12},
        McastRun{.number = 4, .handle = GroupHandle{9}, .safe = true, .messages = run_of_three()},
    };
}

std::vector<CpgdFrame> cpgd_frames() {
    const Member one{.node = NodeId{1}, .pid = 10, .reason = Reason::Join};
    const Member two{.node = NodeId{1}, .pid = 11, .reason = Reason::ProcDown};
    const Member three{.node = NodeId{2}, .pid = 3, .reason = Reason::Undefined};
    return {
        Welcome{.session = SessionId{77},
                .self = NodeId{2},
                .resumed = true,
                .taken = 8,
                .window_bytes = 1u << 20u},
        Refused{.error = 11, .reason = "uid 1000 is not allowed"},
        Reply{.request = 3, .error = 1},
        MembershipReply{.request = 4, .members = {one, two, three}},
        MembershipReply{.request = 4, .members = {}},
        GroupsReply{
            .request = 5,
            .groups = {{.group = "", .members = {}}, {.group = "a", .members = {one, two}}}},
        Credit{.taken = 9, .window_bytes = 0},
        SessionEvent{.event = 1,
                     .what = Delivered{.handle = GroupHandle{9},
                                       .node = NodeId{1},
                                       .pid = 10,
                                       .part = Mcast::Part::Whole,
                                       .message_bytes = 5,
                                       .payload = bytes_of("hello")}},
        SessionEvent{.event = 2,
                     .what = Confchg{.handle = GroupHandle{9},
                                     .members = {one, three},
                                     .left = {two},
                                     .joined = {one}}},
        SessionEvent{.event = 3,
                     .what = TotemConfchg{.handle = GroupHandle{9},
                                          .ring = {.seq = 40, .representative = NodeId{1}},
                                          .members = {NodeId{1}, NodeId{2}}}},
        SessionEvent{.event = 4,
                     .what = DeliveredRun{.handle = GroupHandle{9},
                                          .node = NodeId{1},
                                          .pid = 10,
                                          .messages = run_of_three()}},
        DeliveredInArea{.event = 7,
                        .delivered = {.handle = GroupHandle{9},
                                      .node = NodeId{1},
                                      .pid = 10,
                                      .part = Mcast::Part::First,
                                      .message_bytes = 70'000,
                                      .payload = {}},
                        .offset = 64,
                        .payload_bytes = 65'536},
    };
}

FrameError client_error(const Buffer& frame) {
    const auto decoded = decode_client_frame(frame);
    REQUIRE_FALSE(decoded.has_value());
    return decoded.error();
}

FrameError cpgd_error(const Buffer& frame) {
    const auto decoded = decode_cpgd_frame(frame);
    REQUIRE_FALSE(decoded.has_value());
    return decoded.error();
}

}  // namespace

TEST_CASE("a client's frames survive the wire") {
    const auto frames = client_frames();
    for (std::size_t i = 0; i < frames.size(); ++i) {
        CAPTURE(i);
        const Buffer encoded = encode(frames[i]);
        const auto decoded = decode_client_frame(encoded);
        REQUIRE(decoded.has_value());
        CHECK(decoded->index() == frames[i].index());
        CHECK(same(encode(*decoded), encoded));
    }
    const auto mcast = decode_client_frame(encode(frames[7]));
    CHECK(same(std::get<Mcast>(*mcast).payload, bytes_of("hello")));
    const auto join = decode_client_frame(encode(frames[1]));
    CHECK(std::get<Join>(*join).group == std::string("crmd\0", 5));
}

TEST_CASE("cpgd's frames survive the wire") {
    const auto frames = cpgd_frames();
    for (std::size_t i = 0; i < frames.size(); ++i) {
        CAPTURE(i);
        const Buffer encoded = encode(frames[i]);
        const auto decoded = decode_cpgd_frame(encoded);
        REQUIRE(decoded.has_value());
        CHECK(decoded->index() == frames[i].index());
        CHECK(same(encode(*decoded), encoded));
    }
    const auto event = decode_cpgd_frame(encode(frames[8]));
    const auto& confchg = std::get<Confchg>(std::get<SessionEvent>(*event).what);
    CHECK(confchg.left == std::vector<Member>{{NodeId{1}, 11, Reason::ProcDown}});
    const auto groups = decode_cpgd_frame(encode(frames[5]));
    CHECK(std::get<GroupsReply>(*groups).groups == std::get<GroupsReply>(frames[5]).groups);
}

TEST_CASE("a decoded payload shares the memory of the frame") {
    const Buffer frame = encode(client_frames()[7]);
    const auto decoded = decode_client_frame(frame);
    CHECK(std::get<Mcast>(*decoded).payload.data() == frame.data() + frame.size() - 5);
}

TEST_CASE("a truncation is refused, or is a shorter payload") {
    for (const ClientFrame& whole : client_frames()) {
        const Buffer frame = encode(whole);
        const bool counts_payload = [&] {
            const auto* mcast = std::get_if<Mcast>(&whole);
            return mcast == nullptr || mcast->part == Mcast::Part::Whole;
        }();
        for (std::size_t length = 0; length < frame.size(); ++length) {
            CAPTURE(length);
            const auto decoded = decode_client_frame(frame.slice(0, length));
            const bool is_shorter_run = std::holds_alternative<McastRun>(whole) &&
                                        ends_a_message(kMcastRunHeaderBytes, length);
            if (counts_payload) CHECK(decoded.has_value() == is_shorter_run);
        }
    }
    for (const CpgdFrame& whole : cpgd_frames()) {
        const Buffer frame = encode(whole);
        for (std::size_t length = 0; length < frame.size(); ++length) {
            CAPTURE(length);
            const auto* event = std::get_if<SessionEvent>(&whole);
            const bool is_shorter_run = event != nullptr &&
                                        std::holds_alternative<DeliveredRun>(event->what) &&
                                        ends_a_message(kDeliveredRunHeaderBytes, length);
            CHECK(decode_cpgd_frame(frame.slice(0, length)).has_value() == is_shorter_run);
        }
    }
}

TEST_CASE("trailing bytes are refused") {
    for (const ClientFrame& whole : client_frames()) {
        if (std::holds_alternative<Mcast>(whole)) continue;
        if (std::holds_alternative<McastRun>(whole)) continue;  // Another message begins.
        CHECK(client_error(with_tail(encode(whole))) == FrameError::TrailingBytes);
    }
    CHECK(cpgd_error(with_tail(encode(cpgd_frames()[3]))) == FrameError::TrailingBytes);
}

TEST_CASE("a frame that breaks a rule is refused") {
    const auto client = client_frames();
    CHECK(client_error(with_byte(encode(client[0]), 0, 0x81)) == FrameError::UnknownType);
    CHECK(client_error(with_byte(encode(client[0]), 1, 2)) == FrameError::WrongVersion);
    CHECK(client_error(with_byte(encode(client[0]), 22, 2)) == FrameError::OutOfRange);  // Flag.
    CHECK(client_error(with_byte(encode(client[1]), 10, 129)) == FrameError::OutOfRange);
    CHECK(client_error(with_byte(encode(client[6]), 6, 0)) == FrameError::OutOfRange);
    CHECK(client_error(with_byte(encode(client[7]), 2, 0)) == FrameError::OutOfRange);  // Number 0.
    CHECK(client_error(with_byte(encode(client[7]), 15, 4)) == FrameError::OutOfRange);  // Part.
    CHECK(client_error(with_byte(encode(client[7]), 16, 6)) == FrameError::OutOfRange);  // Size.

    const auto cpgd = cpgd_frames();
    CHECK(cpgd_error(with_byte(encode(cpgd[0]), 2, 0)) == FrameError::OutOfRange);    // Session 0.
    CHECK(cpgd_error(with_byte(encode(cpgd[3]), 10, 6)) == FrameError::OutOfRange);   // Node order.
    CHECK(cpgd_error(with_byte(encode(cpgd[3]), 18, 6)) == FrameError::OutOfRange);   // Reason.
    CHECK(cpgd_error(with_byte(encode(cpgd[3]), 9, 0xff)) == FrameError::Truncated);  // Count.
    CHECK(cpgd_error(with_byte(encode(cpgd[7]), 2, 0)) == FrameError::OutOfRange);    // Event 0.
    const Buffer in_area = encode(cpgd.back());
    CHECK(cpgd_error(with_byte(in_area, 2, 0)) == FrameError::OutOfRange);   // Event 0.
    CHECK(cpgd_error(with_byte(in_area, 22, 0)) == FrameError::OutOfRange);  // Whole, and no part.
    CHECK(cpgd_error(with_byte(in_area, 37, 2)) == FrameError::OutOfRange);  // Above the message.
}

TEST_CASE("a part is bounded") {
    Mcast mcast{.number = 1,
                .part = Mcast::Part::First,
                .message_bytes = 2 * kPartBytesMax,
                .payload = Buffer::copy_of(std::vector<std::byte>(kPartBytesMax))};
    const Buffer frame = encode(ClientFrame{mcast});
    CHECK(decode_client_frame(frame).has_value());
    CHECK(client_error(with_tail(frame)) == FrameError::OutOfRange);
}

TEST_CASE("a run is its messages, whole, in front and behind a place") {
    const MessageRun run = run_of_three();
    const auto texts = [](const MessageRun& of) {
        std::vector<std::string> all;
        of.for_each([&](std::span<const std::byte> payload) {
            all.emplace_back(reinterpret_cast<const char*>(payload.data()), payload.size());
        });
        return all;
    };
    CHECK(run.count() == 3);
    CHECK(run.payload_bytes() == 6);
    CHECK(texts(run) == std::vector<std::string>{"hello", "", "!"});
    CHECK(texts(run.first(2)) == std::vector<std::string>{"hello", ""});
    CHECK(texts(run.without_first(2)) == std::vector<std::string>{"!"});
    CHECK(run.without_first(0).count() == 3);
    std::vector<std::uint64_t> events;
    for_each_event(7, DeliveredRun{.messages = run}, [&](const SessionEvent& event) {
        events.push_back(event.event);
        CHECK(std::get<Delivered>(event.what).payload.data() > run.bytes().data());
    });
    CHECK(events == std::vector<std::uint64_t>{7, 8, 9});
}

TEST_CASE("a run is bounded in each direction") {
    CHECK(MessageRun::parse(base::Buffer{}).error() == FrameError::OutOfRange);
    const auto run_of = [](std::size_t count, std::size_t length) {
        std::vector<std::byte> bytes;
        for (std::size_t i = 0; i < count; ++i) {
            std::array<std::byte, kRunLengthBytes> head;
            write_run_length(length, head.data());
            bytes.insert(bytes.end(), head.begin(), head.end());
            bytes.resize(bytes.size() + length);
        }
        return MessageRun::parse(Buffer::copy_of(bytes));
    };
    CHECK(run_of(1, kRunPayloadMax).has_value());
    CHECK(run_of(1, kRunPayloadMax + 1).error() == FrameError::OutOfRange);
    CHECK(run_of(kRunMessagesMax, 1).has_value());
    CHECK(run_of(kRunMessagesMax + 1, 1).error() == FrameError::OutOfRange);
    CHECK(run_of(15, kRunPayloadMax).has_value());
    CHECK(run_of(16, kRunPayloadMax).error() == FrameError::OutOfRange);  // 16 lengths too many.
}
