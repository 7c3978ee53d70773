// The configuration of a cluster as plain values, with all defaults and derived times filled in.
// What each means, with range and unit: the table in directives_*.cpp.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.hpp"
#include "common/config/host.hpp"
#include "common/config/ip_address.hpp"
#include "common/config/problem.hpp"

namespace config {

using Milliseconds = std::chrono::milliseconds;

inline constexpr std::size_t kLinksMax = 8;

struct NodeAddress {
    std::string text;    // As written.
    IpAddress resolved;  // The first address of the name.
    Position at;
};

struct Node {
    base::NodeId id{};
    std::string name;  // Empty when not given.
    std::uint32_t votes = 1;
    std::array<std::optional<NodeAddress>, kLinksMax> links;
    Position at;
};

enum class LinkKind : std::uint8_t { Udp, Rdma };

struct Link {
    std::uint8_t number = 0;
    LinkKind kind = LinkKind::Udp;
    std::uint16_t port = 5405;
    std::uint8_t priority = 1;  // The working link of highest priority carries the traffic.
    std::optional<Milliseconds> heartbeat_interval;  // Unlike TotemTimes::heartbeat_interval.
    std::optional<Milliseconds> silence;             // Down after this, unlike silence_min.
    std::uint32_t pong_count = 2;

    // Transport::Multicast, and RDMA links.
    std::optional<IpAddress> multicast;  // Nothing: made from the cluster's name, or broadcast.
    std::optional<IpAddress> bind_network;
    bool broadcast = false;
    std::uint8_t ttl = 1;
};

enum class Transport : std::uint8_t { Unicast, Multicast };

enum class Cipher : std::uint8_t { Aes256Gcm, ChaCha20Poly1305, None };

struct Crypto {
    Cipher cipher = Cipher::Aes256Gcm;
    std::string key_file;                   // Absolute. Empty when inline_key is set.
    std::optional<std::string> inline_key;  // Secret: never printed.
};

struct TotemTimes {
    Milliseconds token{3000};  // With the coefficient for the nodes above two.
    Milliseconds token_retransmit{50};
    std::uint32_t token_warning_percent = 75;
    Milliseconds join{50};
    Milliseconds consensus{3600};  // Upper bound; gather_timeout is what is used.
    Milliseconds gather_timeout{200};
    Milliseconds merge{200};
    Milliseconds heartbeat_interval{100};
    Milliseconds silence_min{600};
    Milliseconds silence_max{2000};
    std::uint32_t probes_to_convict = 3;
};

struct FlowLimits {
    std::size_t window_bytes = 524'288;
    std::size_t visit_bytes = 393'216;
    std::size_t accelerated_bytes = 98'304;
    bool accelerated = true;
    std::size_t queue_bytes_max = 4'194'304;
    Milliseconds service_grace{10'000};
    std::size_t retained_bytes_max = 67'108'864;
};

struct PathSizes {
    std::uint32_t netmtu = 1500;         // Bytes, IP header included.
    std::optional<std::uint32_t> fixed;  // knet_mtu: no discovery.
    std::chrono::seconds probe_interval{30};
};

struct Logging {
    bool to_stderr = true;
    bool to_journal = true;
    std::optional<std::string> file;  // Set when to_logfile is on.
    bool debug = false;
};

struct UidGid {
    std::vector<uid_t> uids;
    std::vector<gid_t> gids;
};

// When ringd has real-time priority.
enum class RealTime : std::uint8_t { Never, WhenLate, Always };

struct System {
    RealTime real_time = RealTime::WhenLate;
    std::string priority = "max";
    std::string state_dir;  // Empty when not given.
    std::string user = "halo";
    std::string group = "halo";
    bool sandbox = true;
    bool resume = true;     // ringd goes on where it was killed.
    bool lifelines = true;  // A silent TCP connection with each peer.
};

struct Quorum {
    bool is_votequorum = false;
    std::uint32_t expected_votes = 0;  // The sum of the nodes' votes unless given.
    bool two_node = false;
    bool wait_for_all = false;  // two_node unless given.
    bool last_man_standing = false;
    Milliseconds last_man_standing_window{10'000};
    bool auto_tie_breaker = false;
    std::string auto_tie_breaker_node = "lowest";
    bool allow_downscale = false;
    bool expected_votes_tracking = false;

    struct Device {
        std::string model;
        std::uint32_t votes = 0;
        Milliseconds timeout{10'000};
        Milliseconds sync_timeout{30'000};
        bool master_wins = false;
    };
    std::optional<Device> device;
};

struct ClusterConfig {
    std::string file;
    std::string cluster_name;
    std::uint64_t config_version = 0;
    Transport transport = Transport::Unicast;
    IpVersion ip_version = IpVersion::V6First;
    std::uint8_t dscp = 0;
    bool block_unlisted_addresses = true;

    std::vector<Node> nodes;           // Ascending by id.
    std::optional<base::NodeId> self;  // Set when the host was given to load().
    std::vector<Link> links;           // Those that the nodes have, ascending by number.

    Crypto crypto;
    TotemTimes times;
    FlowLimits flow;
    PathSizes path;
    Logging logging;
    UidGid clients;
    System system;
    Quorum quorum;

    // The node of that id; null when there is none.
    [[nodiscard]] const Node* node(base::NodeId id) const;
    [[nodiscard]] const Node* local() const { return self ? node(*self) : nullptr; }
};

}  // namespace config
