// The frames of cluster control: what we send comes back the same, and every way a frame can be
// wrong is told.
#include "common/protocol/cfg_api.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <span>
#include <vector>

namespace {

using base::Buffer;
using base::NodeId;
using protocol::FrameError;
using namespace protocol::cfg;

std::vector<Request> requests() {
    return {RingStatusGet{},
            NodeStatusGet{.node = NodeId{2}},
            NodeAddressesGet{.node = NodeId{0}},
            Kill{.node = NodeId{3}, .reason = std::string(kReasonBytesMax, 'x')},
            Kill{.node = NodeId{3}, .reason = ""},
            TrackStart{},
            TrackStop{},
            Shutdown{.kind = ShutdownKind::Immediate},
            ShutdownAnswer{.agrees = true},
            Reload{},
            ReopenLogs{}};
}

std::vector<Reply> replies() {
    NodeStatus node{.node = NodeId{2}, .is_reachable = true, .links = {}};
    node.links[0] = {.is_enabled = true,
                     .is_connected = true,
                     .mtu = 1400,
                     .own_address = "192.0.2.1",
                     .peer_address = "192.0.2.2"};
    return {RingStatus{},
            RingStatus{.links = {{.number = 0, .address = "192.0.2.1", .status = "n3"},
                                 {.number = 7, .address = "fd00::1", .status = "n1"}}},
            node, NodeAddresses{.addresses = {"192.0.2.2", "fd00::2"}},
            Message{.text = "halo.conf:3: no"}};
}

Buffer changed(const Buffer& frame, std::size_t at, std::uint8_t value) {
    std::vector<std::byte> bytes(frame.bytes().begin(), frame.bytes().end());
    bytes.at(at) = std::byte{value};
    return Buffer::copy_of(bytes);
}

Buffer longer(const Buffer& frame) {
    std::vector<std::byte> bytes(frame.bytes().begin(), frame.bytes().end());
    bytes.push_back(std::byte{0});
    return Buffer::copy_of(bytes);
}

template <class Decode>
void check_frame(const Buffer& frame, Decode decode) {
    const auto back = decode(frame);
    REQUIRE(back.has_value());
    CHECK(std::ranges::equal(encode(*back).bytes(), frame.bytes()));
    for (std::size_t size = 0; size < frame.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(decode(frame.slice(0, size)).has_value());
    }
    CHECK(decode(longer(frame)).error() == FrameError::TrailingBytes);
    CHECK(decode(changed(frame, 1, kCfgApiVersion + 1)).error() == FrameError::WrongVersion);
    CHECK(decode(changed(frame, 0, 0x7f)).error() == FrameError::UnknownType);
}

}  // namespace

TEST_CASE("every frame comes back as it was sent, and none that is cut short or too long does") {
    for (const Request& request : requests())
        check_frame(encode(request), decode_request);
    for (const Reply& reply : replies())
        check_frame(encode(reply), decode_reply);
    check_frame(encode(ShutdownAsked{.kind = ShutdownKind::Regardless}), decode_event);
}

TEST_CASE("values that mean nothing are refused") {
    CHECK(decode_request(changed(encode(Request(Shutdown{})), 2, 3)).error() ==
          FrameError::OutOfRange);
    CHECK(decode_request(changed(encode(Request(ShutdownAnswer{})), 2, 2)).error() ==
          FrameError::OutOfRange);
    CHECK(decode_event(changed(encode(ShutdownAsked{}), 2, 3)).error() == FrameError::OutOfRange);
    const Buffer ring = encode(replies()[1]);
    CHECK(decode_reply(changed(ring, 2, 9)).error() == FrameError::OutOfRange);  // Nine links.
    CHECK(decode_reply(changed(ring, 3, 8)).error() == FrameError::OutOfRange);  // Link 8.
    CHECK(decode_reply(changed(ring, 3, 7)).error() == FrameError::OutOfRange);  // Link 7 twice.
}
