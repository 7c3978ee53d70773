// The sending half of NetworkTransport: from the core's packets to bursts on links.
#include <algorithm>
#include <chrono>

#include "common/base/invariant.hpp"
#include "ringd/transport/network_transport.hpp"

namespace transport {
namespace {

constexpr int kWaitsForMemoryMax = 2;

// What recordings or forgeries can make us answer, a peer.
constexpr base::Duration kHelloBurstInterval = std::chrono::milliseconds(10);
constexpr std::uint32_t kHellosMax = 8;

}  // namespace

void NetworkTransport::flush() {
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

void NetworkTransport::send_run(std::span<const Outgoing> run) {
    const std::uint8_t link = run.front().to.link ? run.front().to.link->value() : kAnyLink;
    std::array<std::size_t, kSegmentsMax> sizes;
    while (!run.empty()) {
        const std::size_t looked_at = std::min(run.size(), sizes.size());
        for (std::size_t i = 0; i < looked_at; ++i) {
            sizes[i] = run[i].packet.size();
        }
        const BurstPlan plan = plan_burst(std::span(sizes).first(looked_at));
        const auto sealed = take_memory(plan.total_bytes);
        if (!sealed) {
            lost_for_memory_ += plan.packets;
            run = run.subspan(plan.packets);
            continue;
        }
        for (std::size_t i = 0; i < plan.packets; ++i) {
            const std::size_t offset = i * plan.segment_bytes;
            const std::size_t length = std::min(plan.segment_bytes, sealed->bytes.size() - offset);
            channel_.seal(link, run[i].packet.bytes(), sealed->bytes.subspan(offset, length));
        }
        send_burst(run.front().to, {.to = nullptr,
                                    .bytes = sealed->bytes,
                                    .segment_bytes = plan.segment_bytes,
                                    .end = sealed->end});
        run = run.subspan(plan.packets);
    }
}

// Nothing: the devices are not done with what they were given before, after a few milliseconds.
std::optional<SendMemory::Piece> NetworkTransport::take_memory(std::size_t bytes) {
    auto piece = memory_.take(bytes);
    if (piece) return piece;
    send_pending();
    piece = memory_.take(bytes);
    for (int waits = 0; !piece && waits < kWaitsForMemoryMax; ++waits) {
        for (Link& link : links_) {
            link.port->wait_for_sends();
        }
        release_memory();
        piece = memory_.take(bytes);
    }
    return piece;
}

void NetworkTransport::release_memory() {
    std::optional<std::uint64_t> held;
    for (Link& link : links_) {
        const auto from = link.port->held_from();
        if (from) held = std::min(held.value_or(*from), *from);
    }
    if (held) {
        memory_.release(*held);
    } else {
        memory_.release_all();
    }
}

std::span<const base::NodeId> NetworkTransport::nodes_of(
    totem::SendToAll::Audience audience) const {
    switch (audience) {
        case totem::SendToAll::Audience::Configured:
            return nodes_;
        case totem::SendToAll::Audience::Members:
            return audience_;
    }
    INVARIANT(false);
    return audience_;
}

bool NetworkTransport::use_group(Link& link, std::span<const base::NodeId> nodes) const {
    if (link.port->group() == nullptr) return false;
    if (!link.port->is_group_uncertain()) return true;
    std::size_t reached = 0;
    for (const base::NodeId node : nodes) {
        const Peer* peer = find_peer(node);
        if (peer == nullptr || !link.reach.reaches(node)) continue;
        if (!peer->active || *peer->active == link.config.link) ++reached;
    }
    return reached >= kGroupMembersMin;
}

void NetworkTransport::send_burst(const Destination& to, const Burst& burst) {
    if (to.node) {
        Peer* peer = find_peer(*to.node);
        if (peer == nullptr) return;
        const auto wanted = to.link ? to.link : peer->active;
        for (Link& link : links_) {
            if (wanted && *wanted != link.config.link) continue;
            if (!join_pending(*peer, link, burst)) add_path(*peer, link, burst);
        }
        return;
    }
    const auto nodes = nodes_of(to.audience);
    std::array<bool, totem::kLinksMax> to_group{};
    for (Link& link : links_) {
        if (!use_group(link, nodes)) continue;
        to_group[link.config.link.value()] = true;
        Burst group = burst;
        group.to = link.port->group();
        pending_.push_back({.link = &link, .burst = group});
        link.counters.packets_sent += segments_of(burst);
        link.counters.bytes_sent += burst.bytes.size();
    }
    for (const base::NodeId node : nodes) {
        Peer* peer = find_peer(node);
        if (peer == nullptr) continue;
        for (Link& link : links_) {
            const totem::LinkId id = link.config.link;
            if (peer->active && *peer->active != id) continue;
            const bool is_reached = to_group[id.value()] &&
                                    (!link.port->is_group_uncertain() || link.reach.reaches(node));
            if (!is_reached) add_path(*peer, link, burst);
        }
    }
}

void NetworkTransport::add_path(Peer& peer, Link& link, Burst burst) {
    const auto& address = peer.addresses[link.config.link.value()];
    if (!address) return;
    burst.to = &*address;
    pending_.push_back({.link = &link, .burst = burst});
    count_sent(peer, link, burst);
}

void NetworkTransport::count_sent(Peer& peer, Link& link, const Burst& burst) {
    const std::size_t packets = segments_of(burst);
    link.counters.packets_sent += packets;
    link.counters.bytes_sent += burst.bytes.size();
    peer.counters.packets_sent += packets;
    peer.counters.bytes_sent += burst.bytes.size();
}

// What goes to one receiver right behind what goes to it and to others (the token behind a message)
// leaves in one datagram with it: the way of a small one through both kernels costs more than its
// bytes, and its receiver is woken once.
bool NetworkTransport::join_pending(Peer& peer, Link& link, const Burst& burst) {
    const auto& address = peer.addresses[link.config.link.value()];
    const auto last = std::find_if(pending_.rbegin(), pending_.rend(), [&](const Pending& pending) {
        return pending.link == &link && address && pending.burst.to == &*address;
    });
    if (last == pending_.rend() || !can_join(last->burst, burst)) return false;
    Burst& joined = last->burst;
    joined.bytes = {joined.bytes.data(), joined.bytes.size() + burst.bytes.size()};
    joined.end = burst.end;
    count_sent(peer, link, burst);
    return true;
}

void NetworkTransport::send_pending() {
    for (std::size_t at = 0; at < pending_.size();) {
        same_link_.clear();
        Link* link = pending_[at].link;
        while (at < pending_.size() && pending_[at].link == link) {
            same_link_.push_back(pending_[at++].burst);
        }
        link->port->send(same_link_);
    }
    pending_.clear();
    release_memory();
}

void NetworkTransport::send_control(Peer& peer, Link& link, const SendMemory::Piece& sealed) {
    add_path(peer, link,
             {.to = nullptr,
              .bytes = sealed.bytes,
              .segment_bytes = sealed.bytes.size(),
              .end = sealed.end});
}

void NetworkTransport::send_hello(base::Instant now, Peer& peer) {
    if (now - peer.hellos_since > kHelloBurstInterval) {
        peer.hellos_since = now;
        peer.hellos = 0;
    }
    if (peer.hellos == kHellosMax) return;
    ++peer.hellos;
    ++peer.counters.hellos_sent;
    const auto sealed = take_memory(kHelloBytes + kOverheadBytes);
    if (!sealed) return;
    channel_.seal_hello(peer.node, kAnyLink, sealed->bytes);
    for (Link& link : links_) {
        send_control(peer, link, *sealed);
    }
    send_pending();
}

void NetworkTransport::send_probe(Peer& peer, Link& link, const ProbeMessage& probe,
                                  std::size_t sealed_bytes) {
    std::array<std::byte, kProbeBytes> message{};
    encode_probe(probe, message);
    const auto sealed = take_memory(sealed_bytes);
    if (!sealed) return;
    channel_.seal_probe(link.config.link.value(), message, sealed->bytes);
    send_control(peer, link, *sealed);
    send_pending();
}

}  // namespace transport
