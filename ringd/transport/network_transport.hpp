// The Totem core's packets over several links a node, each unicast to every peer or multicast, over
// UDP or RDMA devices, all sealed by one secure channel.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ringd/transport/burst_builder.hpp"
#include "ringd/transport/group_reach.hpp"
#include "ringd/transport/lifelines.hpp"
#include "ringd/transport/link_watch.hpp"
#include "ringd/transport/network_link.hpp"
#include "ringd/transport/obituary.hpp"
#include "ringd/transport/path_size.hpp"
#include "ringd/transport/rdma_module.hpp"
#include "ringd/transport/secure_channel.hpp"
#include "ringd/transport/send_memory.hpp"
#include "ringd/transport/transport.hpp"
#include "ringd/transport/udp_socket.hpp"

namespace transport {

enum class LinkKind : std::uint8_t { Udp, Rdma };

struct LinkConfig {
    totem::LinkId link{};
    LinkKind kind = LinkKind::Udp;
    SocketAddress address;  // Own, with the port.
    // Packets to all go to this group (transport: udp); its port may differ from the address's.
    // An RDMA link uses it for those peers that it is seen to reach.
    std::optional<Multicast> multicast;
    std::uint8_t dscp = 0;    // ip_dscp
    std::size_t mtu_max = 0;  // netmtu, knet_mtu: IP packets no larger than this. 0: discover.
    int bound_fd = -1;        // A socket bound by somebody else, which is taken over; or -1.
};

struct PeerConfig {
    base::NodeId node{};
    std::vector<std::pair<totem::LinkId, SocketAddress>> addresses;  // With the port; one a link.
};

struct NetworkConfig {
    base::NodeId self{};
    std::vector<LinkConfig> links;
    std::vector<PeerConfig> peers;
    Suite suite = Suite::Aes256Gcm;
    bool block_unlisted = true;  // block_unlisted_ips: packets from configured addresses only.
    bool has_lifelines = true;   // lifelines: with peers on UDP links.
    std::size_t socket_buffer_bytes = std::size_t{8} << 20u;
    std::size_t rdma_receives = kRdmaReceivesDefault;
    // Where the channel keeps what outlives the process, and what another process left there to be
    // gone on from. Outlives the transport.
    ChannelMemory* memory = nullptr;
    std::optional<ChannelMemory::Left> left;
};

class NetworkTransport final : public Transport {
  public:
    [[nodiscard]] static os::Result<std::unique_ptr<NetworkTransport>> create(
        const NetworkConfig& config, const ClusterKey& key, base::Instant now);

    // Once, when this process has given up the privileges that it needs for sockets only: opens the
    // devices. Fails when no link can work as things are; with one that can the others may come
    // later.
    os::Result<void> start(base::Instant now);

    // The configured peers changed (reload). Those that stay keep their state.
    void configure_peers(base::Instant now, std::span<const PeerConfig> peers);

    // A reload in two steps. The first opens the links that are new or have moved, and opens
    // packets of the new key from now on; nothing else changes, and it can fail. The second
    // cannot: links, peers and the key that seals are those of `next`. The key before is opened for
    // a while longer (kOtherKeyKept).
    os::Result<void> prepare(const NetworkConfig& next, const ClusterKey& key);
    // Needs: prepared. The caller watches descriptors() anew: some may be gone.
    void commit(base::Instant now, std::vector<totem::Event>& events);
    void abandon();
    static constexpr base::Duration kOtherKeyKept = std::chrono::seconds(30);
    [[nodiscard]] std::optional<base::Instant> other_key_kept_until() const { return drop_key_at_; }

    // What a supervisor sends to all peers when this process is dead (obituary.hpp).
    [[nodiscard]] Obituary make_obituary();

    [[nodiscard]] bool is_proven(base::NodeId peer) const { return channel_.is_proven(peer); }

    // What should stay open when this process is killed, so that no port is unreachable meanwhile:
    // the sockets to which peers send, each with its link.
    [[nodiscard]] std::vector<std::pair<totem::LinkId, int>> lasting_sockets() const;

    // Says of each of our links whether it works, and that no lifeline is there: for a core that
    // may think otherwise.
    void tell_links(std::vector<totem::Event>& events);

    [[nodiscard]] std::vector<int> descriptors() const override;
    void queue(const totem::SendTo& send) override;
    void queue(const totem::SendToAll& send) override;
    void set_audience(const totem::SetAudience& audience) override;
    void use_link(const totem::UseLink& use) override;
    void keep_lifelines(base::Instant now, const totem::KeepLifelines& keep) override;
    void flush() override;
    void woken(int descriptor, bool has_error) override;
    bool receive(base::Instant now, std::vector<totem::Event>& events) override;
    [[nodiscard]] base::Instant next_deadline() const override;
    void pass_deadline(base::Instant now, std::vector<totem::Event>& events) override;
    [[nodiscard]] std::size_t packet_bytes_max() const override { return packet_bytes_max_; }
    [[nodiscard]] std::vector<LinkNotice> take_notices() override;
    [[nodiscard]] LinkCounters link_counters(totem::LinkId link) const override;
    [[nodiscard]] PeerCounters peer_counters(base::NodeId peer) const override;
    [[nodiscard]] LifelineCounters lifeline_counters() const override;

  private:
    struct Link {
        LinkConfig config;
        std::unique_ptr<NetworkLink> port;
        bool has_address = true;
        bool is_usable = true;
        GroupReach reach;  // Of an uncertain group.
        LinkCounters counters;
    };
    // Data of a life that is not proven yet, so that the first packets after a start need not wait
    // for a retransmission.
    struct Held {
        std::uint64_t incarnation = 0;
        std::vector<totem::PacketArrived> packets;
    };
    struct Peer {
        base::NodeId node{};
        std::array<std::optional<SocketAddress>, totem::kLinksMax> addresses;
        std::array<PathSize, totem::kLinksMax> paths;
        std::optional<totem::LinkId> active;
        std::uint64_t life = 0;  // The incarnation that was proven last.
        Held held;
        base::Instant hellos_since{};
        std::uint32_t hellos = 0;  // Since then.
        PeerCounters counters;
    };
    // A packet of a super-packet that was opened.
    struct Part {
        base::NodeId from{};
        std::size_t offset = 0;
        std::size_t length = 0;
    };
    struct Outgoing {
        Destination to;
        base::Buffer packet;
    };

    // What a reload brings.
    struct Prepared {
        NetworkConfig config;
        ClusterKey key;
        std::vector<Link> opened;
    };

    NetworkTransport(const NetworkConfig& config, const ClusterKey& key);

    [[nodiscard]] os::Result<Link> open_link(const LinkConfig& link,
                                             const NetworkConfig& config) const;

    [[nodiscard]] std::optional<SendMemory::Piece> take_memory(std::size_t bytes);
    void release_memory();
    void send_run(std::span<const Outgoing> run);
    void send_burst(const Destination& to, const Burst& burst);
    [[nodiscard]] std::span<const base::NodeId> nodes_of(totem::SendToAll::Audience audience) const;
    [[nodiscard]] bool use_group(Link& link, std::span<const base::NodeId> nodes) const;
    void add_path(Peer& peer, Link& link, Burst burst);
    [[nodiscard]] bool join_pending(Peer& peer, Link& link, const Burst& burst);
    static void count_sent(Peer& peer, Link& link, const Burst& burst);
    void send_pending();
    void send_hello(base::Instant now, Peer& peer);
    void send_control(Peer& peer, Link& link, const SendMemory::Piece& sealed);
    void send_probe(Peer& peer, Link& link, const ProbeMessage& probe, std::size_t sealed_bytes);
    [[nodiscard]] bool is_probing(const Link& link) const;
    void probe_groups(base::Instant now);

    void open_all(base::Instant now, Link& link, const Arrived& arrived,
                  std::vector<totem::Event>& events);
    void tell_packets(totem::LinkId link, const base::Buffer& all,
                      std::vector<totem::Event>& events) const;
    [[nodiscard]] base::Expected<Opened, DropCause> open_one(Link& link, const SocketAddress& from,
                                                             std::span<const std::byte> packet,
                                                             base::MutableBuffer& memory,
                                                             std::size_t offset);
    void handle(base::Instant now, Link& link, const Opened& opened,
                std::span<const std::byte> payload, std::vector<totem::Event>& events);
    void note_endpoint(Link& link, const Arrived& arrived, const Opened& opened);
    void hold(Peer& peer, const Opened& opened, totem::LinkId link,
              std::span<const std::byte> payload);
    void release(Peer& peer, std::uint64_t incarnation, std::vector<totem::Event>& events);
    void discard_held(Peer& peer);
    void take_probe(Peer& peer, Link& link, std::span<const std::byte> payload);
    void read_errors(base::Instant now, Link& link, std::vector<totem::Event>& events);
    void look_at_links(std::vector<totem::Event>& events);
    static void judge(Link& link, std::vector<totem::Event>& events);
    void look_at_paths(base::Instant now);
    void configure_lifelines(base::Instant now, std::vector<totem::Event>& events);
    void probe_paths(base::Instant now);
    void tell_packet_bytes(std::vector<totem::Event>& events);
    [[nodiscard]] std::size_t smallest_packet_bytes() const;

    [[nodiscard]] Peer* find_peer(base::NodeId node);
    [[nodiscard]] const Peer* find_peer(base::NodeId node) const;
    [[nodiscard]] Link* find_link(totem::LinkId link);
    [[nodiscard]] static std::optional<std::size_t> mtu_of(const Link& link, const Peer& peer);

    base::NodeId self_;
    bool block_unlisted_;
    SecureChannel channel_;
    SendMemory memory_;
    std::vector<Link> links_;          // Ascending by link.
    std::vector<Peer> peers_;          // Ascending by node.
    std::vector<base::NodeId> nodes_;  // Of peers_.
    std::vector<base::NodeId> audience_;
    std::optional<LinkWatch> watch_;
    std::optional<Lifelines> lifelines_;

    std::vector<Outgoing> queue_;
    struct Pending {
        Link* link = nullptr;
        Burst burst;
    };
    std::vector<Pending> pending_;
    std::vector<Burst> same_link_;  // Scratch of send_pending().
    std::vector<Part> parts_;       // Scratch of open_all().
    bool looks_ = false;            // The next receive() is for more than packets.

    std::size_t packet_bytes_max_ = 0;
    std::uint64_t lost_for_memory_ = 0;  // Packets; Totem sends them again.
    base::Instant next_hello_{};
    base::Instant next_path_look_{};
    std::optional<Prepared> prepared_;
    std::optional<base::Instant> drop_key_at_;
};

}  // namespace transport
