#include "ringd/transport/network_transport.hpp"

#include <algorithm>
#include <chrono>

#include "common/base/invariant.hpp"
#include "ringd/transport/udp_link.hpp"

namespace transport {
namespace {

// Room for a whole visit of the token; a fuller queue is sent in several steps. An RDMA device may
// still send the one before.
constexpr std::size_t kSendBytes = std::size_t{1} << 20u;
constexpr std::size_t kSendBytesRdma = std::size_t{2} << 20u;

constexpr std::size_t kQueueMax = 4096;

constexpr base::Duration kHelloInterval = std::chrono::seconds(1);
constexpr base::Duration kPathLookInterval = std::chrono::seconds(30);

// Between what is not known and what may be assumed: a packet this large fits everywhere.
constexpr std::size_t kPacketBytesUnknown = kMtuMin - 48 - kOverheadBytes;

bool has_rdma(const NetworkConfig& config) {
    return std::ranges::any_of(config.links,
                               [](const LinkConfig& link) { return link.kind == LinkKind::Rdma; });
}

}  // namespace

NetworkTransport::NetworkTransport(const NetworkConfig& config, const ClusterKey& key)
    : self_(config.self),
      block_unlisted_(config.block_unlisted),
      channel_(config.self, config.suite, key,
               config.left ? config.left->incarnation : SecureChannel::new_incarnation(),
               config.left ? config.left->counter : SecureChannel::random_counter()),
      memory_(has_rdma(config) ? kSendBytesRdma : kSendBytes) {}

os::Result<std::unique_ptr<NetworkTransport>> NetworkTransport::create(const NetworkConfig& config,
                                                                       const ClusterKey& key,
                                                                       base::Instant now) {
    if (!Aead::is_available(config.suite)) {
        return base::fail(os::Error{.what = "OpenSSL has no such cipher"});
    }
    std::unique_ptr<NetworkTransport> made(new NetworkTransport(config, key));
    for (const LinkConfig& link : config.links) {
        auto opened = made->open_link(link, config);
        if (!opened) return base::fail(opened.error());
        made->links_.push_back(std::move(*opened));
    }
    std::ranges::sort(made->links_, {}, [](const Link& link) { return link.config.link; });
    // Without netlink (a sandbox may deny it) links are judged by their heartbeats alone.
    if (auto watch = LinkWatch::create()) made->watch_ = std::move(*watch);
    made->configure_peers(now, config.peers);
    // Without them peers are judged by their heartbeats alone.
    if (config.has_lifelines) {
        if (auto lifelines = Lifelines::create(config.self))
            made->lifelines_ = std::move(*lifelines);
        std::vector<totem::Event> nothing_is_there_yet;
        made->configure_lifelines(now, nothing_is_there_yet);
    }
    if (config.memory != nullptr && config.left) {
        made->channel_.go_on_in(*config.memory, *config.left);
    } else if (config.memory != nullptr) {
        made->channel_.remember_in(*config.memory);
    }
    return made;
}

os::Result<void> NetworkTransport::start(base::Instant now) {
    for (Link& link : links_) {
        link.port->start(now);
    }
    look_at_paths(now);
    packet_bytes_max_ = smallest_packet_bytes();
    const auto is_hopeless = [](const Link& link) { return !link.port->problem().empty(); };
    if (links_.empty() || !std::ranges::all_of(links_, is_hopeless)) return {};
    return base::fail(os::Error{.what = links_.front().port->problem()});
}

os::Result<NetworkTransport::Link> NetworkTransport::open_link(const LinkConfig& link,
                                                               const NetworkConfig& config) const {
    INVARIANT(link.link.value() < totem::kLinksMax);
    auto port = [&]() -> os::Result<std::unique_ptr<NetworkLink>> {
        switch (link.kind) {
            case LinkKind::Udp:
                return UdpLink::open({.address = link.address,
                                      .multicast = link.multicast,
                                      .dscp = link.dscp,
                                      .bound_fd = link.bound_fd,
                                      .socket_buffer_bytes = config.socket_buffer_bytes});
            case LinkKind::Rdma:
                return open_rdma_link(
                    {.link = link.link,
                     .address = link.address,
                     .group = link.multicast ? std::optional(link.multicast->group) : std::nullopt,
                     .receives = config.rdma_receives,
                     .memory = &memory_});
        }
        INVARIANT(false);
        return base::fail(os::Error{});
    }();
    if (!port) return base::fail(port.error());
    return Link{.config = link,
                .port = std::move(*port),
                .has_address = true,
                .is_usable = true,
                .reach = {},
                .counters = {}};
}

os::Result<void> NetworkTransport::prepare(const NetworkConfig& next, const ClusterKey& key) {
    abandon();
    if (!Aead::is_available(next.suite)) {
        return base::fail(os::Error{.what = "OpenSSL has no such cipher"});
    }
    std::vector<Link> opened;
    for (const LinkConfig& link : next.links) {
        const Link* known = find_link(link.link);
        if (known != nullptr && known->config.address == link.address) continue;
        auto made = open_link(link, next);
        if (!made) return base::fail(made.error());
        opened.push_back(std::move(*made));
    }
    prepared_ = Prepared{.config = next, .key = key, .opened = std::move(opened)};
    channel_.accept_key(key, next.suite);
    drop_key_at_.reset();
    return {};
}

void NetworkTransport::abandon() {
    if (!prepared_) return;
    prepared_.reset();
    channel_.drop_other_key();
    drop_key_at_.reset();
}

void NetworkTransport::commit(base::Instant now, std::vector<totem::Event>& events) {
    INVARIANT(prepared_.has_value());
    flush();  // Nothing may point to a link that goes.
    Prepared next = std::move(*prepared_);
    prepared_.reset();
    std::vector<Link> links = std::move(next.opened);
    for (const LinkConfig& link : next.config.links) {
        Link* known = find_link(link.link);
        if (known == nullptr || known->config.address != link.address) continue;
        known->config.mtu_max = link.mtu_max;
        links.push_back(std::move(*known));
    }
    std::ranges::sort(links, {}, [](const Link& link) { return link.config.link; });
    links_ = std::move(links);
    block_unlisted_ = next.config.block_unlisted;
    channel_.seal_with(next.key, next.config.suite);
    if (channel_.has_other_key()) drop_key_at_ = now + kOtherKeyKept;
    configure_peers(now, next.config.peers);
    configure_lifelines(now, events);
    look_at_links(events);
    tell_packet_bytes(events);
}

void NetworkTransport::configure_peers(base::Instant now, std::span<const PeerConfig> peers) {
    std::vector<Peer> next;
    nodes_.clear();
    for (const PeerConfig& configured : peers) {
        Peer* known = find_peer(configured.node);
        Peer& peer = next.emplace_back(known != nullptr ? std::move(*known) : Peer{});
        peer.node = configured.node;
        const auto before = peer.addresses;
        peer.addresses = {};
        for (const auto& [link, address] : configured.addresses) {
            INVARIANT(link.value() < totem::kLinksMax);
            peer.addresses[link.value()] = address;
        }
        for (std::size_t place = 0; place < totem::kLinksMax; ++place) {
            // Another address is another path, of which nothing is known.
            if (peer.addresses[place] != before[place]) peer.paths[place] = {};
        }
        nodes_.push_back(configured.node);
    }
    std::ranges::sort(next, {}, &Peer::node);
    std::ranges::sort(nodes_);
    peers_ = std::move(next);
    channel_.set_peers(nodes_);
    for (Link& link : links_) {
        std::vector<SocketAddress> addresses;
        for (const Peer& peer : peers_) {
            const auto& address = peer.addresses[link.config.link.value()];
            if (address) addresses.push_back(*address);
        }
        link.port->set_peers(addresses);
        link.reach.set_peers(nodes_);
    }
    look_at_paths(now);
    next_hello_ = now;
    next_path_look_ = now;
    if (packet_bytes_max_ == 0) packet_bytes_max_ = smallest_packet_bytes();
}

void NetworkTransport::configure_lifelines(base::Instant now, std::vector<totem::Event>& events) {
    if (!lifelines_) return;
    std::vector<Lifelines::Own> links;
    for (const Link& link : links_) {
        if (link.config.kind == LinkKind::Udp)
            links.push_back({.link = link.config.link, .address = link.config.address});
    }
    std::vector<Lifelines::Other> peers;
    for (const Peer& peer : peers_)
        peers.push_back({.node = peer.node, .addresses = peer.addresses});
    lifelines_->configure(now, links, std::move(peers), events);
}

Obituary NetworkTransport::make_obituary() {
    Obituary obituary;
    obituary.packet.resize(kOverheadBytes);
    channel_.seal_obituary(obituary.packet);
    for (const Peer& peer : peers_) {
        for (const Link& link : links_) {
            const auto& to = peer.addresses[link.config.link.value()];
            if (to) obituary.paths.push_back({.from = link.config.address, .to = *to});
        }
    }
    return obituary;
}

std::vector<std::pair<totem::LinkId, int>> NetworkTransport::lasting_sockets() const {
    std::vector<std::pair<totem::LinkId, int>> sockets;
    for (const Link& link : links_) {
        if (link.config.kind != LinkKind::Udp) continue;
        sockets.emplace_back(link.config.link, link.port->descriptors().front());
    }
    return sockets;
}

std::vector<int> NetworkTransport::descriptors() const {
    std::vector<int> descriptors;
    for (const Link& link : links_) {
        const auto own = link.port->descriptors();
        descriptors.insert(descriptors.end(), own.begin(), own.end());
    }
    if (watch_) descriptors.push_back(watch_->fd());
    if (lifelines_) descriptors.push_back(lifelines_->fd());
    return descriptors;
}

void NetworkTransport::set_audience(const totem::SetAudience& audience) {
    // What is queued goes to those who were the audience when it was.
    flush();
    audience_ = audience.members;
}

void NetworkTransport::use_link(const totem::UseLink& use) {
    flush();
    if (Peer* peer = find_peer(use.peer); peer != nullptr) peer->active = use.link;
    if (lifelines_) lifelines_->use_link(use.peer, use.link);
}

void NetworkTransport::keep_lifelines(base::Instant now, const totem::KeepLifelines& keep) {
    if (lifelines_) lifelines_->keep(now, keep.peers);
}

void NetworkTransport::queue(const totem::SendTo& send) {
    if (queue_.size() == kQueueMax) flush();
    queue_.push_back(
        {.to = {.node = send.to, .audience = {}, .link = send.link}, .packet = send.packet});
}

void NetworkTransport::queue(const totem::SendToAll& send) {
    if (queue_.size() == kQueueMax) flush();
    queue_.push_back({.to = {.node = std::nullopt, .audience = send.audience, .link = std::nullopt},
                      .packet = send.packet});
}

base::Instant NetworkTransport::next_deadline() const {
    base::Instant next = next_path_look_;
    if (drop_key_at_) next = std::min(next, *drop_key_at_);
    if (lifelines_) next = std::min(next, lifelines_->next_deadline());
    for (const Link& link : links_) {
        next = std::min(next, link.port->next_deadline());
        if (is_probing(link)) next = std::min(next, link.reach.due());
    }
    for (const Peer& peer : peers_) {
        if (!channel_.is_proven(peer.node)) {
            next = std::min(next, next_hello_);
            continue;
        }
        for (const Link& link : links_) {
            const std::size_t place = link.config.link.value();
            if (peer.addresses[place]) next = std::min(next, peer.paths[place].due());
        }
    }
    return next;
}

void NetworkTransport::pass_deadline(base::Instant now, std::vector<totem::Event>& events) {
    if (now >= next_hello_) {
        next_hello_ = now + kHelloInterval;
        for (Peer& peer : peers_) {
            if (!channel_.is_proven(peer.node)) send_hello(now, peer);
        }
    }
    for (Link& link : links_) {
        if (now < link.port->next_deadline()) continue;
        link.port->pass_deadline(now);
        // Its device may be another one now.
        for (Peer& peer : peers_) {
            peer.paths[link.config.link.value()].learn(mtu_of(link, peer), link.config.mtu_max);
        }
    }
    if (now >= next_path_look_) {
        look_at_links(events);
        look_at_paths(now);
    }
    if (drop_key_at_ && now >= *drop_key_at_) {
        drop_key_at_.reset();
        channel_.drop_other_key();
    }
    for (Link& link : links_) {
        judge(link, events);
    }
    if (lifelines_) lifelines_->pass_deadline(now, events);
    probe_paths(now);
    probe_groups(now);
    tell_packet_bytes(events);
}

void NetworkTransport::look_at_paths(base::Instant now) {
    next_path_look_ = now + kPathLookInterval;
    for (Peer& peer : peers_) {
        for (const Link& link : links_) {
            peer.paths[link.config.link.value()].learn(mtu_of(link, peer), link.config.mtu_max);
        }
    }
}

std::optional<std::size_t> NetworkTransport::mtu_of(const Link& link, const Peer& peer) {
    const auto& address = peer.addresses[link.config.link.value()];
    return address ? link.port->path_mtu(*address) : std::nullopt;
}

void NetworkTransport::probe_paths(base::Instant now) {
    for (Peer& peer : peers_) {
        if (!channel_.is_proven(peer.node)) continue;
        for (Link& link : links_) {
            const std::size_t place = link.config.link.value();
            const auto& address = peer.addresses[place];
            if (!address || peer.paths[place].due() > now) continue;
            const auto probe = peer.paths[place].tick(now);
            if (!probe) continue;
            for (const std::size_t size : {probe->small, probe->large}) {
                send_probe(peer, link,
                           {.recipient = peer.node,
                            .size = static_cast<std::uint32_t>(size),
                            .kind = ProbeMessage::Kind::Path},
                           size - address->header_bytes());
            }
        }
    }
}

bool NetworkTransport::is_probing(const Link& link) const {
    return link.port->group() != nullptr && link.port->is_group_uncertain() &&
           peers_.size() >= kGroupMembersMin;
}

// Of the size in use: a group may carry less than the path to a single node.
void NetworkTransport::probe_groups(base::Instant now) {
    for (Link& link : links_) {
        if (!is_probing(link) || link.reach.due() > now) continue;
        link.reach.begin_round(now);
        std::array<std::byte, kProbeBytes> message{};
        const std::size_t bytes = std::max(packet_bytes_max_, kProbeBytes) + kOverheadBytes;
        encode_probe({.recipient = base::kNoNode,
                      .size = static_cast<std::uint32_t>(bytes),
                      .kind = ProbeMessage::Kind::Group},
                     message);
        const auto sealed = take_memory(bytes);
        if (!sealed) continue;
        channel_.seal_probe(link.config.link.value(), message, sealed->bytes);
        pending_.push_back({.link = &link,
                            .burst = {.to = link.port->group(),
                                      .bytes = sealed->bytes,
                                      .segment_bytes = bytes,
                                      .end = sealed->end}});
        ++link.counters.packets_sent;
        link.counters.bytes_sent += bytes;
        send_pending();
    }
}

std::size_t NetworkTransport::smallest_packet_bytes() const {
    std::optional<std::size_t> smallest;
    for (const Peer& peer : peers_) {
        for (const Link& link : links_) {
            const std::size_t place = link.config.link.value();
            const auto mtu = peer.paths[place].mtu();
            if (!mtu || !peer.addresses[place]) continue;
            const std::size_t overhead = peer.addresses[place]->header_bytes() + kOverheadBytes;
            if (*mtu <= overhead) continue;
            const std::size_t bytes = std::min(*mtu, std::size_t{65535}) - overhead;
            smallest = std::min(smallest.value_or(bytes), bytes);
        }
    }
    return smallest.value_or(kPacketBytesUnknown);
}

void NetworkTransport::tell_packet_bytes(std::vector<totem::Event>& events) {
    const std::size_t bytes = smallest_packet_bytes();
    if (bytes == packet_bytes_max_) return;
    packet_bytes_max_ = bytes;
    events.emplace_back(totem::PacketBytesChanged{.packet_bytes_max = bytes});
}

NetworkTransport::Peer* NetworkTransport::find_peer(base::NodeId node) {
    const auto at = std::ranges::lower_bound(peers_, node, {}, &Peer::node);
    return at != peers_.end() && at->node == node ? &*at : nullptr;
}

const NetworkTransport::Peer* NetworkTransport::find_peer(base::NodeId node) const {
    const auto at = std::ranges::lower_bound(peers_, node, {}, &Peer::node);
    return at != peers_.end() && at->node == node ? &*at : nullptr;
}

NetworkTransport::Link* NetworkTransport::find_link(totem::LinkId id) {
    const auto at =
        std::ranges::find(links_, id, [](const Link& link) { return link.config.link; });
    return at == links_.end() ? nullptr : &*at;
}

LinkCounters NetworkTransport::link_counters(totem::LinkId id) const {
    const auto at =
        std::ranges::find(links_, id, [](const Link& link) { return link.config.link; });
    if (at == links_.end()) return {};
    LinkCounters counters = at->counters;
    at->port->add_counters(counters);
    if (at->config.kind == LinkKind::Rdma) counters.not_sent += lost_for_memory_;
    counters.is_usable = at->is_usable;
    return counters;
}

std::vector<LinkNotice> NetworkTransport::take_notices() {
    std::vector<LinkNotice> notices;
    for (Link& link : links_) {
        for (LinkNotice& notice : link.port->take_notices()) {
            notices.push_back(std::move(notice));
        }
    }
    return notices;
}

LifelineCounters NetworkTransport::lifeline_counters() const {
    return lifelines_ ? lifelines_->counters() : LifelineCounters{};
}

PeerCounters NetworkTransport::peer_counters(base::NodeId node) const {
    const Peer* peer = find_peer(node);
    return peer == nullptr ? PeerCounters{} : peer->counters;
}

}  // namespace transport
