#include "ringd/transport/udp_transport.hpp"

#include <algorithm>
#include <chrono>

#include "common/base/invariant.hpp"

namespace transport {
namespace {

// Room for a whole visit of the token; a fuller queue is sent in several steps.
constexpr std::size_t kArenaBytes = std::size_t{1} << 20u;
constexpr std::size_t kQueueMax = 4096;

constexpr base::Duration kHelloInterval = std::chrono::seconds(1);
constexpr base::Duration kPathLookInterval = std::chrono::seconds(30);

// What recordings or forgeries can make us answer, a peer.
constexpr base::Duration kHelloBurstInterval = std::chrono::milliseconds(10);
constexpr std::uint32_t kHellosMax = 8;

// Between what is not known and what may be assumed: a packet this large fits everywhere.
constexpr std::size_t kPacketBytesUnknown = kMtuMin - 48 - kOverheadBytes;

}  // namespace

UdpTransport::UdpTransport(const UdpTransportConfig& config, const ClusterKey& key)
    : self_(config.self),
      block_unlisted_(config.block_unlisted),
      channel_(config.self, config.suite, key, SecureChannel::new_incarnation(),
               SecureChannel::random_counter()),
      arena_(kArenaBytes) {}

os::Result<std::unique_ptr<UdpTransport>> UdpTransport::create(const UdpTransportConfig& config,
                                                               const ClusterKey& key,
                                                               base::Instant now) {
    if (!Aead::is_available(config.suite)) {
        return base::fail(os::Error{.what = "OpenSSL has no such cipher"});
    }
    std::unique_ptr<UdpTransport> made(new UdpTransport(config, key));
    for (const UdpLink& link : config.links) {
        auto opened = open_link(link, config.socket_buffer_bytes);
        if (!opened) return base::fail(opened.error());
        made->links_.push_back(std::move(*opened));
    }
    std::ranges::sort(made->links_, {}, [](const Link& link) { return link.config.link; });
    // Without netlink (a sandbox may deny it) links are judged by their heartbeats alone.
    if (auto watch = LinkWatch::create()) made->watch_ = std::move(*watch);
    made->configure_peers(now, config.peers);
    return made;
}

os::Result<UdpTransport::Link> UdpTransport::open_link(const UdpLink& link,
                                                       std::size_t buffer_bytes) {
    INVARIANT(link.link.value() < totem::kLinksMax);
    const UdpSocketConfig unicast{.address = link.address,
                                  .multicast = std::nullopt,
                                  .dscp = link.dscp,
                                  .buffer_bytes = buffer_bytes};
    auto socket = link.bound_fd >= 0 ? UdpSocket::adopt(os::UniqueFd(link.bound_fd), unicast)
                                     : UdpSocket::open(unicast);
    if (!socket) return base::fail(socket.error());
    std::optional<UdpSocket> group;
    if (link.multicast) {
        if (auto done = socket->send_to_groups(link.multicast->ttl); !done) {
            return base::fail(done.error());
        }
        UdpSocketConfig receiving = unicast;
        receiving.multicast = link.multicast;
        auto opened = UdpSocket::open(receiving);
        if (!opened) return base::fail(opened.error());
        group = std::move(*opened);
    }
    return Link{.config = link,
                .socket = std::move(*socket),
                .group = std::move(group),
                .is_usable = true,
                .counters = {}};
}

os::Result<void> UdpTransport::prepare(const UdpTransportConfig& next, const ClusterKey& key) {
    abandon();
    if (!Aead::is_available(next.suite)) {
        return base::fail(os::Error{.what = "OpenSSL has no such cipher"});
    }
    std::vector<Link> opened;
    for (const UdpLink& link : next.links) {
        const Link* known = find_link(link.link);
        if (known != nullptr && known->config.address == link.address) continue;
        auto socket = open_link(link, next.socket_buffer_bytes);
        if (!socket) return base::fail(socket.error());
        opened.push_back(std::move(*socket));
    }
    prepared_ = Prepared{.config = next, .key = key, .opened = std::move(opened)};
    channel_.accept_key(key, next.suite);
    drop_key_at_.reset();
    return {};
}

void UdpTransport::abandon() {
    if (!prepared_) return;
    prepared_.reset();
    channel_.drop_other_key();
    drop_key_at_.reset();
}

void UdpTransport::commit(base::Instant now, std::vector<totem::Event>& events) {
    INVARIANT(prepared_.has_value());
    flush();  // Nothing may point to a link that goes.
    Prepared next = std::move(*prepared_);
    prepared_.reset();
    std::vector<Link> links = std::move(next.opened);
    for (const UdpLink& link : next.config.links) {
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
    look_at_links(events);
    tell_packet_bytes(events);
}

void UdpTransport::configure_peers(base::Instant now, std::span<const UdpPeer> peers) {
    std::vector<Peer> next;
    std::vector<base::NodeId> nodes;
    for (const UdpPeer& configured : peers) {
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
        nodes.push_back(configured.node);
    }
    std::ranges::sort(next, {}, &Peer::node);
    peers_ = std::move(next);
    channel_.set_peers(nodes);
    look_at_paths(now);
    next_hello_ = now;
    next_path_look_ = now;
    if (packet_bytes_max_ == 0) packet_bytes_max_ = smallest_packet_bytes();
}

Obituary UdpTransport::make_obituary() {
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

std::vector<int> UdpTransport::descriptors() const {
    std::vector<int> descriptors;
    for (const Link& link : links_) {
        descriptors.push_back(link.socket.fd());
        if (link.group) descriptors.push_back(link.group->fd());
    }
    if (watch_) descriptors.push_back(watch_->fd());
    return descriptors;
}

void UdpTransport::set_audience(const totem::SetAudience& audience) {
    // What is queued goes to those who were the audience when it was.
    flush();
    audience_ = audience.members;
}

void UdpTransport::use_link(const totem::UseLink& use) {
    flush();
    if (Peer* peer = find_peer(use.peer); peer != nullptr) peer->active = use.link;
}

void UdpTransport::queue(const totem::SendTo& send) {
    if (queue_.size() == kQueueMax) flush();
    queue_.push_back(
        {.to = {.node = send.to, .audience = {}, .link = send.link}, .packet = send.packet});
}

void UdpTransport::queue(const totem::SendToAll& send) {
    if (queue_.size() == kQueueMax) flush();
    queue_.push_back({.to = {.node = std::nullopt, .audience = send.audience, .link = std::nullopt},
                      .packet = send.packet});
}

void UdpTransport::flush() {
    // A run is what follows each other with one destination: between runs the order is kept even
    // across receivers, so that a token overtakes what was queued behind it for others.
    for (std::size_t at = 0; at < queue_.size();) {
        std::size_t end = at + 1;
        while (end < queue_.size() && queue_[end].to == queue_[at].to) {
            ++end;
        }
        send_run(std::span(queue_).subspan(at, end - at));
        at = end;
    }
    send_pending();
    queue_.clear();
}

void UdpTransport::send_run(std::span<const Outgoing> run) {
    const std::uint8_t link = run.front().to.link ? run.front().to.link->value() : kAnyLink;
    std::array<std::size_t, kSegmentsMax> sizes{};
    while (!run.empty()) {
        const std::size_t looked_at = std::min(run.size(), sizes.size());
        for (std::size_t i = 0; i < looked_at; ++i) {
            sizes[i] = run[i].packet.size();
        }
        const BurstPlan plan = plan_burst(std::span(sizes).first(looked_at));
        INVARIANT(plan.total_bytes <= kArenaBytes);
        if (arena_.size() - arena_used_ < plan.total_bytes) send_pending();

        const auto sealed = std::span(arena_).subspan(arena_used_, plan.total_bytes);
        arena_used_ += plan.total_bytes;
        for (std::size_t i = 0; i < plan.packets; ++i) {
            const std::size_t offset = i * plan.segment_bytes;
            const std::size_t length = std::min(plan.segment_bytes, sealed.size() - offset);
            channel_.seal(link, run[i].packet.bytes(), sealed.subspan(offset, length));
        }
        send_burst(run.front().to, sealed, plan.segment_bytes, plan.packets);
        run = run.subspan(plan.packets);
    }
}

void UdpTransport::send_burst(const Destination& to, std::span<const std::byte> sealed,
                              std::size_t segment, std::size_t packets) {
    const auto send_to = [&](Peer& peer, bool grouped) {
        for (Link& link : links_) {
            const totem::LinkId id = link.config.link;
            if (grouped && link.group) continue;
            const auto wanted = to.link ? to.link : peer.active;
            if (wanted && *wanted != id) continue;
            add_path(peer, link, sealed, segment, packets);
        }
    };
    if (to.node) {
        if (Peer* peer = find_peer(*to.node); peer != nullptr) send_to(*peer, false);
        return;
    }
    for (Link& link : links_) {
        if (!link.group) continue;
        pending_.push_back(
            {.link = &link,
             .burst = {
                 .to = &link.config.multicast->group, .bytes = sealed, .segment_bytes = segment}});
        link.counters.packets_sent += packets;
        link.counters.bytes_sent += sealed.size();
    }
    if (to.audience == totem::SendToAll::Audience::Configured) {
        for (Peer& peer : peers_) {
            send_to(peer, true);
        }
        return;
    }
    for (const base::NodeId member : audience_) {
        if (Peer* peer = find_peer(member); peer != nullptr) send_to(*peer, true);
    }
}

void UdpTransport::add_path(Peer& peer, Link& link, std::span<const std::byte> sealed,
                            std::size_t segment, std::size_t packets) {
    const auto& address = peer.addresses[link.config.link.value()];
    if (!address) return;
    pending_.push_back(
        {.link = &link, .burst = {.to = &*address, .bytes = sealed, .segment_bytes = segment}});
    link.counters.packets_sent += packets;
    link.counters.bytes_sent += sealed.size();
    peer.counters.packets_sent += packets;
    peer.counters.bytes_sent += sealed.size();
}

void UdpTransport::send_pending() {
    for (std::size_t at = 0; at < pending_.size();) {
        same_socket_.clear();
        Link* link = pending_[at].link;
        while (at < pending_.size() && pending_[at].link == link) {
            same_socket_.push_back(pending_[at++].burst);
        }
        link->socket.send(same_socket_);
    }
    pending_.clear();
    arena_used_ = 0;
}

void UdpTransport::send_control(Peer& peer, Link& link, std::span<const std::byte> sealed) {
    add_path(peer, link, sealed, sealed.size(), 1);
    send_pending();
}

void UdpTransport::send_hello(base::Instant now, Peer& peer) {
    if (now - peer.hellos_since > kHelloBurstInterval) {
        peer.hellos_since = now;
        peer.hellos = 0;
    }
    if (peer.hellos == kHellosMax) return;
    ++peer.hellos;
    ++peer.counters.hellos_sent;
    std::array<std::byte, kHelloBytes + kOverheadBytes> sealed{};
    channel_.seal_hello(peer.node, kAnyLink, sealed);
    for (Link& link : links_) {
        send_control(peer, link, sealed);
    }
}

base::Instant UdpTransport::next_deadline() const {
    base::Instant next = std::min(next_hello_, next_path_look_);
    if (drop_key_at_) next = std::min(next, *drop_key_at_);
    for (const Peer& peer : peers_) {
        if (!channel_.is_proven(peer.node)) continue;
        for (const Link& link : links_) {
            const std::size_t place = link.config.link.value();
            if (peer.addresses[place]) next = std::min(next, peer.paths[place].due());
        }
    }
    return next;
}

void UdpTransport::pass_deadline(base::Instant now, std::vector<totem::Event>& events) {
    if (now >= next_hello_) {
        next_hello_ = now + kHelloInterval;
        for (Peer& peer : peers_) {
            if (!channel_.is_proven(peer.node)) send_hello(now, peer);
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
    probe_paths(now);
    tell_packet_bytes(events);
}

void UdpTransport::look_at_paths(base::Instant now) {
    next_path_look_ = now + kPathLookInterval;
    for (Peer& peer : peers_) {
        for (const Link& link : links_) {
            peer.paths[link.config.link.value()].learn(mtu_of(link, peer), link.config.mtu_max);
        }
    }
}

std::optional<std::size_t> UdpTransport::mtu_of(const Link& link, const Peer& peer) const {
    const auto& address = peer.addresses[link.config.link.value()];
    if (!address) return std::nullopt;
    auto mtu = link.socket.path_mtu(*address);
    if (mtu && link.group) {
        const auto group = link.socket.path_mtu(link.config.multicast->group);
        if (group) mtu = std::min(*mtu, *group);
    }
    return mtu;
}

void UdpTransport::probe_paths(base::Instant now) {
    for (Peer& peer : peers_) {
        if (!channel_.is_proven(peer.node)) continue;
        for (Link& link : links_) {
            const std::size_t place = link.config.link.value();
            const auto& address = peer.addresses[place];
            if (!address || peer.paths[place].due() > now) continue;
            const auto probe = peer.paths[place].tick(now);
            if (!probe) continue;
            for (const std::size_t size : {probe->small, probe->large}) {
                std::array<std::byte, kProbeBytes> message{};
                encode_probe({.recipient = peer.node,
                              .size = static_cast<std::uint32_t>(size),
                              .is_answer = false},
                             message);
                std::vector<std::byte> sealed(size - address->header_bytes());
                channel_.seal_probe(link.config.link.value(), message, sealed);
                send_control(peer, link, sealed);
            }
        }
    }
}

std::size_t UdpTransport::smallest_packet_bytes() const {
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

void UdpTransport::tell_packet_bytes(std::vector<totem::Event>& events) {
    const std::size_t bytes = smallest_packet_bytes();
    if (bytes == packet_bytes_max_) return;
    packet_bytes_max_ = bytes;
    events.emplace_back(totem::PacketBytesChanged{.packet_bytes_max = bytes});
}

UdpTransport::Peer* UdpTransport::find_peer(base::NodeId node) {
    const auto at = std::ranges::lower_bound(peers_, node, {}, &Peer::node);
    return at != peers_.end() && at->node == node ? &*at : nullptr;
}

const UdpTransport::Peer* UdpTransport::find_peer(base::NodeId node) const {
    const auto at = std::ranges::lower_bound(peers_, node, {}, &Peer::node);
    return at != peers_.end() && at->node == node ? &*at : nullptr;
}

UdpTransport::Link* UdpTransport::find_link(totem::LinkId id) {
    const auto at =
        std::ranges::find(links_, id, [](const Link& link) { return link.config.link; });
    return at == links_.end() ? nullptr : &*at;
}

LinkCounters UdpTransport::link_counters(totem::LinkId id) const {
    const auto at =
        std::ranges::find(links_, id, [](const Link& link) { return link.config.link; });
    if (at == links_.end()) return {};
    LinkCounters counters = at->counters;
    for (const UdpSocket* socket : {&at->socket, at->group ? &*at->group : nullptr}) {
        if (socket == nullptr) continue;
        const UdpSocketCounters& own = socket->counters();
        counters.system_calls_sent += own.system_calls_sent;
        counters.system_calls_received += own.system_calls_received;
        counters.retries += own.retries;
        counters.not_sent += own.not_sent;
        counters.too_large += own.too_large;
        counters.receive_lost += own.receive_lost;
    }
    counters.receive_buffer_bytes = at->socket.receive_buffer_bytes();
    counters.send_buffer_bytes = at->socket.send_buffer_bytes();
    counters.is_usable = at->is_usable;
    return counters;
}

PeerCounters UdpTransport::peer_counters(base::NodeId node) const {
    const Peer* peer = find_peer(node);
    return peer == nullptr ? PeerCounters{} : peer->counters;
}

}  // namespace transport
