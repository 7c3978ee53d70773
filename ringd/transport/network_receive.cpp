// The receiving half of NetworkTransport: from datagrams to events of the core.
#include <algorithm>
#include <functional>
#include <utility>

#include "common/base/invariant.hpp"
#include "ringd/transport/network_transport.hpp"

namespace transport {
namespace {

// System calls a socket and turn, of up to 16 super-packets each: then others have their turn.
constexpr std::size_t kBatches = 4;

// Packets of a life that is not proven: what a peer sends in one round trip when it joins.
constexpr std::size_t kHeldMax = 64;

}  // namespace

// A packet is what wakes us, as a rule: asking for all else too would double the system calls.
void NetworkTransport::woken(int descriptor, bool has_error) {
    const bool is_watch = watch_ && descriptor == watch_->fd();
    const bool is_lifeline = lifelines_ && descriptor == lifelines_->fd();
    looks_ |= has_error || is_watch || is_lifeline;
}

bool NetworkTransport::receive(base::Instant now, std::vector<totem::Event>& events) {
    bool more = false;
    const bool looks = std::exchange(looks_, false);
    bool look_at_watch = looks;
    for (Link& link : links_) {
        std::size_t taken = 0;
        const auto take = [&](const Arrived& arrived) {
            ++taken;
            open_all(now, link, arrived, events);
        };
        // By reference, as a copy of what it captures would be an allocation each time.
        more |= link.port->receive(kBatches, std::ref(take));
        const bool look = looks || taken == 0;
        if (look) read_errors(now, link, events);
        look_at_watch |= look;
        judge(link, events);
    }
    if (look_at_watch && watch_ && watch_->drain()) {
        look_at_links(events);
        look_at_paths(now);
    }
    // After what came before it: a packet is a sign of life.
    if (look_at_watch && lifelines_) lifelines_->receive(now, events);
    tell_packet_bytes(events);
    return more;
}

// Opens each packet of a super-packet into one buffer, which all its events share.
void NetworkTransport::open_all(base::Instant now, Link& link, const Arrived& arrived,
                                std::vector<totem::Event>& events) {
    // All payloads and paddings are shorter than the packets they come in.
    base::MutableBuffer memory(arrived.bytes.size());
    parts_.clear();
    std::size_t used = 0;
    for (std::size_t at = 0; at < arrived.bytes.size(); at += arrived.segment_bytes) {
        const std::size_t length = std::min(arrived.segment_bytes, arrived.bytes.size() - at);
        const auto packet = arrived.bytes.subspan(at, length);
        ++link.counters.packets_received;
        link.counters.bytes_received += length;
        const auto opened = open_one(link, arrived.from, packet, memory, used);
        if (!opened) {
            link.counters.drops.count(opened.error());
            continue;
        }
        if (arrived.endpoint != 0) note_endpoint(link, arrived, *opened);
        Peer* peer = find_peer(opened->from);
        INVARIANT(peer != nullptr);
        ++peer->counters.packets_received;
        peer->counters.bytes_received += length;
        if (opened->what == Opened::What::Data) {
            parts_.push_back(
                {.from = opened->from, .offset = used, .length = opened->payload_bytes});
            used += opened->payload_bytes;
        } else {
            handle(now, link, *opened, memory.bytes().subspan(used, opened->payload_bytes), events);
        }
    }
    if (parts_.empty()) return;
    tell_packets(link.config.link, std::move(memory).freeze(used), events);
}

// What parts_ says of `all`: packets that follow each other from one sender as one event.
void NetworkTransport::tell_packets(totem::LinkId link, const base::Buffer& all,
                                    std::vector<totem::Event>& events) const {
    for (std::size_t begin = 0; begin < parts_.size();) {
        const Part& first = parts_[begin];
        std::size_t end = begin + 1;
        while (end < parts_.size() && parts_[end].from == first.from)
            ++end;
        if (end - begin == 1) {
            events.emplace_back(totem::PacketArrived{
                .from = first.from, .link = link, .packet = all.slice(first.offset, first.length)});
        } else {
            totem::PacketsArrived packets{
                .from = first.from, .link = link, .bytes = {}, .lengths = {}};
            packets.lengths.reserve(end - begin);
            for (std::size_t i = begin; i < end; ++i)
                packets.lengths.push_back(static_cast<std::uint16_t>(parts_[i].length));
            const std::size_t behind = parts_[end - 1].offset + parts_[end - 1].length;
            packets.bytes = all.slice(first.offset, behind - first.offset);
            events.emplace_back(std::move(packets));
        }
        begin = end;
    }
}

base::Expected<Opened, DropCause> NetworkTransport::open_one(Link& link, const SocketAddress& from,
                                                             std::span<const std::byte> packet,
                                                             base::MutableBuffer& memory,
                                                             std::size_t offset) {
    const auto header = channel_.inspect(packet);
    if (!header) return base::fail(header.error());
    Peer* peer = find_peer(header->sender);
    INVARIANT(peer != nullptr);
    const auto& listed = peer->addresses[link.config.link.value()];
    const bool is_told = from.family() != AF_UNSPEC;
    if (block_unlisted_ && is_told && (!listed || !listed->same_host(from))) {
        peer->counters.drops.count(DropCause::UnlistedAddress);
        return base::fail(DropCause::UnlistedAddress);
    }
    auto opened =
        channel_.open(*header, link.config.link.value(), packet, memory.bytes().subspan(offset));
    if (!opened) peer->counters.drops.count(opened.error());
    return opened;
}

void NetworkTransport::note_endpoint(Link& link, const Arrived& arrived, const Opened& opened) {
    const Peer* peer = find_peer(opened.from);
    const auto& listed = peer->addresses[link.config.link.value()];
    if (listed) link.port->heard(*listed, arrived.endpoint);
}

void NetworkTransport::handle(base::Instant now, Link& link, const Opened& opened,
                              std::span<const std::byte> payload,
                              std::vector<totem::Event>& events) {
    Peer& peer = *find_peer(opened.from);
    switch (opened.what) {
        case Opened::What::Data:
            break;
        case Opened::What::Early:
            hold(peer, opened, link.config.link, payload);
            break;
        case Opened::What::Hello:
            ++peer.counters.hellos_received;
            break;
        case Opened::What::Proven:
            ++peer.counters.hellos_received;
            if (peer.life != opened.incarnation) ++peer.counters.lives_proven;
            peer.life = opened.incarnation;
            release(peer, opened.incarnation, events);
            break;
        case Opened::What::Probe:
            take_probe(peer, link, payload);
            break;
        case Opened::What::Obituary:
            events.emplace_back(totem::PeerEvidence{.peer = peer.node,
                                                    .link = link.config.link,
                                                    .kind = totem::PeerEvidence::Kind::Obituary});
            break;
    }
    if (opened.say_hello) send_hello(now, peer);
}

void NetworkTransport::hold(Peer& peer, const Opened& opened, totem::LinkId link,
                            std::span<const std::byte> payload) {
    // Of one life only: after another one came between, the channel may take a packet twice.
    if (peer.held.incarnation != opened.incarnation) {
        discard_held(peer);
        peer.held.incarnation = opened.incarnation;
    }
    if (peer.held.packets.size() == kHeldMax) {
        peer.counters.drops.count(DropCause::Unproven);
        return;
    }
    peer.held.packets.push_back(
        {.from = peer.node, .link = link, .packet = base::Buffer::copy_of(payload)});
}

// Hands on what was held of `incarnation`; what was held of another was a recording.
void NetworkTransport::release(Peer& peer, std::uint64_t incarnation,
                               std::vector<totem::Event>& events) {
    if (peer.held.incarnation == incarnation) {
        for (totem::PacketArrived& packet : peer.held.packets) {
            events.emplace_back(std::move(packet));
        }
        peer.held = {};
    }
    discard_held(peer);
}

void NetworkTransport::discard_held(Peer& peer) {
    for (std::size_t i = 0; i < peer.held.packets.size(); ++i) {
        peer.counters.drops.count(DropCause::Unproven);
    }
    peer.held = {};
}

void NetworkTransport::take_probe(Peer& peer, Link& link, std::span<const std::byte> payload) {
    using Kind = ProbeMessage::Kind;
    const auto probe = decode_probe(payload);
    if (!probe || (probe->recipient != self_ && probe->kind != Kind::Group)) {
        peer.counters.drops.count(DropCause::Malformed);
        return;
    }
    constexpr std::size_t kAnswerBytes = kProbeBytes + kOverheadBytes;
    switch (probe->kind) {
        case Kind::PathAnswer:
            peer.paths[link.config.link.value()].answered(probe->size);
            return;
        case Kind::GroupAnswer:
            link.reach.answered(peer.node);
            return;
        case Kind::Path:
            send_probe(peer, link,
                       {.recipient = peer.node, .size = probe->size, .kind = Kind::PathAnswer},
                       kAnswerBytes);
            return;
        case Kind::Group:
            send_probe(peer, link,
                       {.recipient = peer.node, .size = probe->size, .kind = Kind::GroupAnswer},
                       kAnswerBytes);
            return;
    }
}

void NetworkTransport::read_errors(base::Instant now, Link& link,
                                   std::vector<totem::Event>& events) {
    const std::uint8_t place = link.config.link.value();
    // A burst has as many answers as packets: more than a few prove nothing more, and one is enough
    // to look at a path.
    constexpr std::ptrdiff_t kRefusalsMax = 4;
    std::vector<base::NodeId> unreachable;
    std::vector<base::NodeId> too_small;
    const auto is_within = [](std::vector<base::NodeId>& seen, base::NodeId node,
                              std::ptrdiff_t most) {
        if (std::ranges::count(seen, node) >= most) return false;
        seen.push_back(node);
        return true;
    };
    link.port->read_errors([&](const PathError& error) {
        ++link.counters.path_errors;
        const auto peer = std::ranges::find_if(peers_, [&](const Peer& candidate) {
            return candidate.addresses[place] && *candidate.addresses[place] == error.to;
        });
        if (peer == peers_.end()) {
            // Of a multicast group; a packet to it concerns every path.
            if (error.kind == PathError::Kind::TooLarge) next_path_look_ = now;
            return;
        }
        if (error.kind == PathError::Kind::TooLarge && is_within(too_small, peer->node, 1)) {
            peer->paths[place].learn(mtu_of(link, *peer), link.config.mtu_max);
        }
        if (error.kind != PathError::Kind::PortUnreachable) return;
        ++peer->counters.ports_unreachable;
        if (!is_within(unreachable, peer->node, kRefusalsMax)) return;
        events.emplace_back(
            totem::PeerEvidence{.peer = peer->node,
                                .link = link.config.link,
                                .kind = totem::PeerEvidence::Kind::PortUnreachable});
    });
}

void NetworkTransport::tell_links(std::vector<totem::Event>& events) {
    look_at_links(events);
    events.emplace_back(totem::PeerEvidence{
        .peer = base::kNoNode, .link = {}, .kind = totem::PeerEvidence::Kind::LifelineDown});
    for (const Link& link : links_) {
        if (!link.is_usable) continue;  // That was a change, and is told.
        events.emplace_back(totem::PeerEvidence{.peer = base::kNoNode,
                                                .link = link.config.link,
                                                .kind = totem::PeerEvidence::Kind::LinkBack});
    }
}

void NetworkTransport::look_at_links(std::vector<totem::Event>& events) {
    std::vector<SocketAddress> addresses;
    for (const Link& link : links_) {
        addresses.push_back(link.config.address);
    }
    const auto usable = LinkWatch::are_usable(addresses);
    if (!usable) return;
    for (std::size_t i = 0; i < links_.size(); ++i) {
        links_[i].has_address = (*usable)[i];
        judge(links_[i], events);
    }
}

// A link is usable when its address is there and its device works.
void NetworkTransport::judge(Link& link, std::vector<totem::Event>& events) {
    const bool is_usable = link.has_address && link.port->is_usable();
    if (link.is_usable == is_usable) return;
    link.is_usable = is_usable;
    link.reach.reset();
    ++link.counters.changes;
    events.emplace_back(totem::PeerEvidence{.peer = base::kNoNode,
                                            .link = link.config.link,
                                            .kind = is_usable
                                                        ? totem::PeerEvidence::Kind::LinkBack
                                                        : totem::PeerEvidence::Kind::LinkLost});
}

}  // namespace transport
