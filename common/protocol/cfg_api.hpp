// What a client of cluster control (libcfg, libhalo) and cmapd say to each other, inside the
// envelope of session_api.hpp. docs/wire-format-cfg.md has the bytes; decode_* takes any input.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/protocol/ring_api.hpp"

namespace protocol::cfg {

inline constexpr std::uint8_t kCfgApiVersion = 1;
inline constexpr std::size_t kReasonBytesMax = 255;   // Of a kill, as in Corosync.
inline constexpr std::size_t kAddressBytesMax = 255;  // An address as text.
inline constexpr std::size_t kStatusBytesMax = 1024;  // One character a configured node.
inline constexpr std::size_t kMessageBytesMax = 16384;
inline constexpr std::size_t kLinksMax = 8;

// ---------------------------------------------------------------- client → daemon

struct RingStatusGet {};
struct NodeStatusGet {
    base::NodeId node{};
};
// 0: this node.
struct NodeAddressesGet {
    base::NodeId node{};
};
struct Kill {
    base::NodeId node{};
    std::string reason;
};
// Lasting: who said it is asked before a shutdown.
struct TrackStart {};
struct TrackStop {};
enum class ShutdownKind : std::uint8_t {
    Request = 0,     // Each tracker may say no.
    Regardless = 1,  // They are told and may not.
    Immediate = 2    // Nobody is told.
};
struct Shutdown {
    ShutdownKind kind = ShutdownKind::Request;
};
struct ShutdownAnswer {
    bool agrees = false;
};
struct Reload {};
struct ReopenLogs {};

using Request = std::variant<RingStatusGet, NodeStatusGet, NodeAddressesGet, Kill, TrackStart,
                             TrackStop, Shutdown, ShutdownAnswer, Reload, ReopenLogs>;

// ---------------------------------------------------------------- daemon → client

// The payload of the reply to RingStatusGet. `status`: one character a node in the order of the
// node list, 'n' this node, else a digit: bit 0 the link is enabled, bit 1 it is connected.
struct RingStatus {
    struct Link {
        std::uint8_t number = 0;
        std::string address;
        std::string status;
    };
    std::vector<Link> links;  // Ascending.
};

struct NodeStatus {
    struct Link {
        bool is_enabled = false;
        bool is_connected = false;
        std::uint32_t mtu = 0;  // What the path carries for us, after all overhead.
        std::string own_address;
        std::string peer_address;
    };
    base::NodeId node{};
    bool is_reachable = false;
    std::array<Link, kLinksMax> links;
};

struct NodeAddresses {
    std::vector<std::string> addresses;  // Of the links in order; each an IP address.
};

// The payload of replies to Reload, also to one that is refused: what to tell people, a line each.
struct Message {
    std::string text;
};

using Reply = std::variant<RingStatus, NodeStatus, NodeAddresses, Message>;

// An event: the node is to be shut down. ShutdownAnswer is due if the kind asks.
struct ShutdownAsked {
    ShutdownKind kind = ShutdownKind::Request;
};

[[nodiscard]] base::Expected<Request, FrameError> decode_request(const base::Buffer& frame);
[[nodiscard]] base::Expected<Reply, FrameError> decode_reply(const base::Buffer& frame);
[[nodiscard]] base::Expected<ShutdownAsked, FrameError> decode_event(const base::Buffer& frame);
[[nodiscard]] base::Buffer encode(const Request& request);
[[nodiscard]] base::Buffer encode(const Reply& reply);
[[nodiscard]] base::Buffer encode(const ShutdownAsked& event);

}  // namespace protocol::cfg
