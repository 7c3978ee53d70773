// The envelope between a daemon and its clients: what we send comes back the same, and every way a
// frame can be wrong is told.
#include "common/protocol/session_api.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

namespace {

using base::Buffer;
using base::NodeId;
using protocol::FrameError;
using namespace protocol::session;

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

std::vector<ClientFrame> client_frames() {
    return {Hello{.service = Service::Votequorum, .session = SessionId{77}, .pid = 4711},
            Hello{.service = Service::Cmap, .session = SessionId{0}, .pid = 1},
            EventsHere{.session = SessionId{77}},
            Request{.number = 1, .payload = bytes_of("ask")},
            Request{.number = 0, .payload = {}},
            Goodbye{.number = 3},
            Keep{.number = 4}};
}

std::vector<DaemonFrame> daemon_frames() {
    return {Welcome{.session = SessionId{77}, .self = NodeId{2}},
            Refused{.error = 11, .reason = "not allowed"},
            Reply{.number = 1, .error = 1, .payload = bytes_of("answer")},
            Reply{.number = 2, .error = 12, .payload = {}},
            Event{.payload = bytes_of("told")},
            Event{.payload = {}}};
}

// What has a payload to its end is a frame at any length from its header on.
bool has_payload(const ClientFrame& frame) {
    return std::holds_alternative<Request>(frame);
}
bool has_payload(const DaemonFrame& frame) {
    return std::holds_alternative<Reply>(frame) || std::holds_alternative<Event>(frame);
}

constexpr std::size_t kRequestHeader = 2 + 8;
constexpr std::size_t kEventHeader = 2;

TEST_CASE("each frame of a client comes back the same, and no truncation of it is another") {
    for (const ClientFrame& frame : client_frames()) {
        CAPTURE(frame.index());
        const Buffer bytes = encode(frame);
        const auto decoded = decode_client_frame(bytes);
        REQUIRE(decoded);
        CHECK(decoded->index() == frame.index());
        CHECK(same(encode(*decoded), bytes));
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            CAPTURE(length);
            const auto cut = decode_client_frame(bytes.slice(0, length));
            if (has_payload(frame) && length >= kRequestHeader) {
                REQUIRE(cut);
                CHECK(same(encode(*cut), bytes.slice(0, length)));
            } else {
                REQUIRE_FALSE(cut);
                CHECK(cut.error() == FrameError::Truncated);
            }
        }
        if (has_payload(frame)) continue;
        const auto longer = decode_client_frame(with_tail(bytes));
        REQUIRE_FALSE(longer);
        CHECK(longer.error() == FrameError::TrailingBytes);
    }
}

TEST_CASE("each frame of a daemon comes back the same, and no truncation of it is another") {
    for (const DaemonFrame& frame : daemon_frames()) {
        CAPTURE(frame.index());
        const Buffer bytes = encode(frame);
        const auto decoded = decode_daemon_frame(bytes);
        REQUIRE(decoded);
        CHECK(decoded->index() == frame.index());
        CHECK(same(encode(*decoded), bytes));
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            CAPTURE(length);
            const auto cut = decode_daemon_frame(bytes.slice(0, length));
            const std::size_t header =
                std::holds_alternative<Event>(frame) ? kEventHeader : 2 + 8 + 4;
            if (has_payload(frame) && length >= header) {
                REQUIRE(cut);
                CHECK(same(encode(*cut), bytes.slice(0, length)));
            } else {
                REQUIRE_FALSE(cut);
                CHECK(cut.error() == FrameError::Truncated);
            }
        }
        if (has_payload(frame)) continue;
        const auto longer = decode_daemon_frame(with_tail(bytes));
        REQUIRE_FALSE(longer);
        CHECK(longer.error() == FrameError::TrailingBytes);
    }
}

TEST_CASE("another version, an unknown type and a frame of the other side are told") {
    const Buffer hello = encode(ClientFrame{Hello{.session = SessionId{1}, .pid = 2}});
    CHECK(decode_client_frame(with_byte(hello, 1, 2)).error() == FrameError::WrongVersion);
    CHECK(decode_client_frame(with_byte(hello, 0, 0x7f)).error() == FrameError::UnknownType);
    CHECK(decode_daemon_frame(hello).error() == FrameError::UnknownType);
    const Buffer event = encode(DaemonFrame{Event{}});
    CHECK(decode_client_frame(event).error() == FrameError::UnknownType);
    CHECK(decode_daemon_frame(with_byte(event, 1, 0)).error() == FrameError::WrongVersion);
}

TEST_CASE("a service that is none, and a session without an id, are out of range") {
    const Buffer hello = encode(ClientFrame{Hello{.session = SessionId{1}, .pid = 2}});
    for (const std::uint8_t service : {std::uint8_t{4}, std::uint8_t{6}, std::uint8_t{255}}) {
        CHECK(decode_client_frame(with_byte(hello, 2, service)).error() == FrameError::OutOfRange);
    }
    const Buffer here = encode(ClientFrame{EventsHere{.session = SessionId{1}}});
    CHECK(decode_client_frame(with_byte(here, 2, 0)).error() == FrameError::OutOfRange);
    const Buffer welcome = encode(DaemonFrame{Welcome{.session = SessionId{1}, .self = NodeId{1}}});
    CHECK(decode_daemon_frame(with_byte(welcome, 2, 0)).error() == FrameError::OutOfRange);
}

TEST_CASE("a payload above the bound is refused, one at the bound is not") {
    const auto request_of = [](std::size_t payload_bytes) {
        const Buffer head = encode(ClientFrame{Request{.number = 1, .payload = {}}});
        std::vector<std::byte> bytes(head.bytes().begin(), head.bytes().end());
        bytes.resize(bytes.size() + payload_bytes);
        return Buffer::copy_of(bytes);
    };
    CHECK(decode_client_frame(request_of(kPayloadBytesMax)));
    CHECK(decode_client_frame(request_of(kPayloadBytesMax + 1)).error() == FrameError::OutOfRange);
}

}  // namespace
