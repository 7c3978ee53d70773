#include "ringd/totem/ring.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/totem/ring_id_reserve.hpp"

namespace totem {
namespace {

Core core_of(const RingConfig& config, base::RingId last_ring, std::uint64_t seed, Instant now) {
    const Incarnation incarnation{
        .ring_seq = last_ring.seq,
        .started_ns = static_cast<std::uint64_t>(now.time_since_epoch().count())};
    Core core{.config = config,
              .self = config.self,
              .prng = base::Prng(seed),
              .now = now,
              .detector = FailureDetector(config, now),
              .connectivity = Connectivity(config.self, incarnation)};
    NodeSet configured;
    for (const Peer& peer : config.peers)
        configured.insert(peer.node);
    core.connectivity.set_configured(configured);
    core.ring_seq_max = last_ring.seq;
    core.stored = last_ring;
    core.window = AdaptiveWindow(config.window_bytes);
    return core;
}

// What a state has no overload for is of no use in it, and is counted as such.
template <class S, class Packet>
Next dispatch(Context& context, S& state, base::NodeId from, const Packet& packet) {
    if constexpr (requires { on(context, state, from, packet); }) {
        return on(context, state, from, packet);
    } else {
        context.drop(DropCause::WrongState);
        return std::nullopt;
    }
}

template <class Packet>
Next deliver_to_state(Context& context, State& state, base::NodeId from,
                      const base::Expected<Packet, WireError>& packet) {
    if (!packet) {
        context.drop(DropCause::Malformed);
        return std::nullopt;
    }
    return std::visit([&](auto& which) { return dispatch(context, which, from, *packet); }, state);
}

}  // namespace

Ring::Ring(const RingConfig& config, base::RingId last_ring, std::uint64_t seed, Instant now)
    : core_(core_of(config, last_ring, seed, now)) {
    INVARIANT(config.self != base::kNoNode);
    INVARIANT(config.packet_bytes_max >= kPartedPacketBytesMin);
    INVARIANT(config.peers.size() < kNodesMax);
    std::vector<Action> nothing_is_sent_before_the_first_step;
    Context context{core_, nothing_is_sent_before_the_first_step};
    state_ = enter_gather(context, GatherReason::Started);
    if (!core_.detector.are_many()) std::get<Gather>(state_).word_at = now;
}

void Ring::step(Instant now, const Event& event, std::vector<Action>& actions) {
    INVARIANT(now >= core_.now);
    core_.now = now;
    if (core_.leaving == Core::Leaving::Gone) return;
    const std::size_t actions_before = actions.size();
    Context context{core_, actions};
    std::visit([&](const auto& what) { handle(context, what); }, event);
    look_at_peers(context);
    if (core_.leaving == Core::Leaving::No) reserve_ring_ids(context);
    go_on_leaving(context);
    for (std::size_t i = actions_before; i < actions.size(); ++i) {
        if (std::holds_alternative<Deliver>(actions[i])) ++core_.stats.items_delivered;
    }
    check_invariants();
}

std::optional<Instant> Ring::next_deadline() const {
    if (core_.leaving == Core::Leaving::Gone) return std::nullopt;
    Instant earliest = core_.detector.next_tick();
    const auto of_state = std::visit([](const auto& state) { return deadline(state); }, state_);
    if (of_state) earliest = std::min(earliest, *of_state);
    if (core_.leaving == Core::Leaving::Draining) earliest = std::min(earliest, core_.leave_by);
    return earliest;
}

std::size_t Ring::submit_room() const {
    if (core_.leaving != Core::Leaving::No) return 0;
    const std::size_t used = core_.queue.bytes();
    return used < core_.config.queue_bytes_max ? core_.config.queue_bytes_max - used : 0;
}

void Ring::handle(Context& context, const PacketArrived& event) {
    if (!core_.connectivity.is_configured(event.from)) {
        context.drop(DropCause::UnknownSender);
        return;
    }
    core_.detector.packet_arrived(event.from, event.link, core_.now);
    handle_packet(context, event.from, event.link, event.packet, false);
}

void Ring::handle(Context& context, const PacketsArrived& event) {
    INVARIANT(event.is_whole());
    if (!core_.connectivity.is_configured(event.from)) {
        for (std::size_t count = event.lengths.size(); count > 0; --count)
            context.drop(DropCause::UnknownSender);
        return;
    }
    core_.detector.packet_arrived(event.from, event.link, core_.now);
    std::size_t at = 0;
    for (const std::uint16_t length : event.lengths) {
        handle_packet(context, event.from, event.link, event.bytes.slice(at, length), false);
        at += length;
    }
}

void Ring::handle_packet(Context& context, base::NodeId from, LinkId link,
                         const base::Buffer& packet, bool assembled) {
    const auto type = type_of(packet.bytes());
    if (!type) {
        context.drop(DropCause::Malformed);
        return;
    }
    ++core_.stats.packets_received[static_cast<std::size_t>(*type)];
    const auto bytes = packet.bytes();
    switch (*type) {
        case PacketType::Data:
            handle_data(context, packet);
            return;
        case PacketType::Token:
            change(deliver_to_state(context, state_, from, decode_token(bytes)));
            return;
        case PacketType::CommitToken:
            change(deliver_to_state(context, state_, from, decode_commit_token(bytes)));
            return;
        case PacketType::RecoveryToken:
            change(deliver_to_state(context, state_, from, decode_recovery_token(bytes)));
            return;
        case PacketType::TokenRequest:
            change(deliver_to_state(context, state_, from, decode_token_request(bytes)));
            return;
        case PacketType::TokenSeen:
            change(deliver_to_state(context, state_, from, decode_token_seen(bytes)));
            return;
        case PacketType::Heartbeat:
            handle_heartbeat(context, from, link, packet);
            return;
        case PacketType::Join:
            handle_join(context, from, packet);
            return;
        case PacketType::Leave:
            handle_leave(context, from, packet);
            return;
        case PacketType::Part:
            if (assembled) {
                context.drop(DropCause::Malformed);  // Parts of parts do not exist.
            } else {
                handle_part(context, from, link, packet);
            }
            return;
    }
}

void Ring::handle_data(Context& context, const base::Buffer& packet) {
    auto data = decode_data(packet);
    if (!data) {
        context.drop(DropCause::Malformed);
        return;
    }
    change(std::visit(
        [&](auto& state) -> Next {
            if constexpr (requires { on_data(context, state, std::move(*data)); }) {
                return on_data(context, state, std::move(*data));
            } else {
                context.drop(DropCause::WrongState);
                return std::nullopt;
            }
        },
        state_));
}

void Ring::handle_heartbeat(Context& context, base::NodeId from, LinkId link,
                            const base::Buffer& packet) {
    const auto heartbeat = decode_heartbeat(packet.bytes());
    if (!heartbeat) {
        context.drop(DropCause::Malformed);
        return;
    }
    if (heartbeat->row.node != from) {
        context.drop(DropCause::Spoofed);
        return;
    }
    if (!core_.detector.heartbeat_arrived(from, link, *heartbeat, core_.now)) {
        context.drop(DropCause::Duplicate);
        return;
    }
    learn_rows(context, from, {heartbeat->row});
}

void Ring::handle_join(Context& context, base::NodeId from, const base::Buffer& packet) {
    const auto join = decode_join(packet.bytes());
    if (!join) {
        context.drop(DropCause::Malformed);
        return;
    }
    if (join->rows.front().node != from) {
        context.drop(DropCause::Spoofed);
        return;
    }
    if (core_.detector.is_over(from, join->rows.front().incarnation)) {
        context.drop(DropCause::Duplicate);  // Late, of a run that is over.
        return;
    }
    core_.ring_seq_heard = std::max(core_.ring_seq_heard, join->ring_seq_max);
    learn_rows(context, from, join->rows);
    look_at_peers(context);
    const bool was_gathering = std::holds_alternative<Gather>(state_);
    change(
        std::visit([&](auto& state) { return join_arrived(context, state, from, *join); }, state_));
    // What made us gather says what is proposed.
    auto* gather = std::get_if<Gather>(&state_);
    if (gather != nullptr && !was_gathering) change(join_arrived(context, *gather, from, *join));
}

void Ring::handle_leave(Context& context, base::NodeId from, const base::Buffer& packet) {
    const auto leave = decode_leave(packet.bytes());
    if (!leave) {
        context.drop(DropCause::Malformed);
        return;
    }
    const Row* row = core_.connectivity.row_of(from);
    if (row == nullptr || row->incarnation != leave->incarnation) return;
    context.trace(TraceEntry::What::PeerLeft, {}, 0, 0, from);
    core_.detector.convict(from);
    core_.connectivity.forget(from);
    rows_changed_ = true;
}

void Ring::handle_part(Context& context, base::NodeId from, LinkId link,
                       const base::Buffer& packet) {
    const auto part = decode_part(packet);
    if (!part) {
        context.drop(DropCause::Malformed);
        return;
    }
    const auto whole = core_.assemblies[from].add(*part);
    if (whole) handle_packet(context, from, link, *whole, true);
}

void Ring::handle(Context& context, const Drained&) {
    change(std::visit(
        [&](auto& state) -> Next {
            if constexpr (requires { on_drained(context, state); }) {
                return on_drained(context, state);
            } else {
                return std::nullopt;
            }
        },
        state_));
}

void Ring::handle(Context& context, const DeadlinePassed&) {
    change(std::visit([&](auto& state) { return on_time(context, state); }, state_));
}

void Ring::handle(Context& context, const Submitted& event) {
    if (core_.leaving != Core::Leaving::No) return;
    core_.queue.push(event);
    if (auto* operational = std::get_if<Operational>(&state_)) {
        change(on_submitted(context, *operational));
    }
}

void Ring::handle(Context& context, const RingStored& event) {
    core_.stored = std::max(core_.stored, event.ring);
    if (auto* commit = std::get_if<Commit>(&state_)) change(on_stored(context, *commit));
}

void Ring::handle(Context&, const PeerEvidence& event) {
    switch (event.kind) {
        case PeerEvidence::Kind::PortUnreachable:
            core_.detector.port_unreachable(event.peer, event.link, core_.now);
            return;
        case PeerEvidence::Kind::Obituary:
            if (core_.detector.obituary(event.peer, core_.now)) {
                core_.connectivity.forget(event.peer);
                rows_changed_ = true;
            }
            return;
        case PeerEvidence::Kind::LinkLost:
            core_.detector.link_changed(event.link, false, core_.now);
            return;
        case PeerEvidence::Kind::LinkBack:
            core_.detector.link_changed(event.link, true, core_.now);
            return;
        case PeerEvidence::Kind::LifelineUp:
            core_.detector.lifeline_up(event.peer, event.link, core_.now);
            return;
        case PeerEvidence::Kind::LifelineDown:
            core_.detector.lifeline_down(event.peer, core_.now);
            return;
        case PeerEvidence::Kind::HungUp:
            core_.detector.hung_up(event.peer, core_.now);
            return;
    }
}

void Ring::handle(Context&, const Paused& event) {
    core_.detector.paused(event.length);
    if (auto* operational = std::get_if<Operational>(&state_)) {
        if (operational->lost_at) *operational->lost_at += event.length;
        operational->request_gives_up += event.length;
    } else if (auto* recovery = std::get_if<Recovery>(&state_)) {
        recovery->lost_at += event.length;
    } else if (auto* commit = std::get_if<Commit>(&state_)) {
        commit->lost_at += event.length;
    } else if (auto* gather = std::get_if<Gather>(&state_)) {
        gather->round_ends += event.length;
    }
}

void Ring::handle(Context&, const LeaveRequested&) {
    if (core_.leaving != Core::Leaving::No) return;
    core_.leaving = Core::Leaving::Draining;
    core_.leave_by = core_.now + core_.config.token_timeout;
}

void Ring::handle(Context&, const PeersConfigured& event) {
    core_.config.peers = event.peers;
    NodeSet configured;
    for (const Peer& peer : event.peers)
        configured.insert(peer.node);
    for (const base::NodeId node : core_.detector.peers()) {
        if (configured.contains(node)) continue;
        core_.connectivity.set_heard(node, false);
        core_.told_links.erase(node);
    }
    core_.detector.configure(event.peers, core_.now);
    core_.connectivity.set_configured(configured);
    rows_changed_ = true;
}

void Ring::handle(Context&, const SettingsChanged& event) {
    static_cast<RingSettings&>(core_.config) = event.settings;
    core_.window.limit(event.settings.window_bytes);
    core_.detector.retime(event.settings, core_.now);
}

void Ring::handle(Context&, const PacketBytesChanged& event) {
    core_.config.packet_bytes_max = std::max(event.packet_bytes_max, kPartedPacketBytesMin);
}

void Ring::learn_rows(Context&, base::NodeId from, const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        const bool own_word = row.node == from;
        const Row* known = core_.connectivity.row_of(row.node);
        NodeSet heard_before;
        if (own_word && known != nullptr && known->incarnation == row.incarnation)
            heard_before = known->hears;
        const bool learnt = core_.connectivity.learn(
            row, own_word ? Connectivity::Source::Itself : Connectivity::Source::Relayed);
        if (!learnt) continue;
        rows_changed_ = true;
        if (!own_word) continue;
        // Whom this peer stopped to hear may be dead: then we shall not need to wait as long. Whom
        // it has not heard yet it says nothing about.
        for (const base::NodeId node : heard_before) {
            if (node != core_.self && !row.hears.contains(node)) {
                core_.detector.accuse(node, core_.now);
            }
        }
    }
}

void Ring::look_at_peers(Context& context) {
    std::vector<FailureDetector::Beat> beats;
    core_.detector.tick(core_.now, beats);
    if (core_.detector.generation() != generation_seen_) {
        generation_seen_ = core_.detector.generation();
        const RowChange change = take_over_peers(context);
        if (change != RowChange::None) {
            rows_changed_ = true;
            if (change == RowChange::Lost) {
                core_.detector.hurry(core_.now);
            } else {
                core_.detector.hurry_later(core_.now);
            }
        }
    }
    if (rows_changed_) {
        rows_changed_ = false;
        change(std::visit([&](auto& state) { return rows_changed(context, state); }, state_));
    }
    // Last: a join that has just gone out tells all as well.
    core_.detector.tick(core_.now, beats);
    for (const FailureDetector::Beat& beat : beats)
        send_heartbeat(context, beat);
}

Ring::RowChange Ring::take_over_peers(Context& context) {
    RowChange change = RowChange::None;
    for (const base::NodeId peer : core_.detector.peers()) {
        const bool heard = core_.detector.hears(peer, core_.now);
        if (core_.connectivity.set_heard(peer, heard)) {
            if (change != RowChange::Lost) change = heard ? RowChange::Gained : RowChange::Lost;
            context.trace(heard ? TraceEntry::What::PeerHeard : TraceEntry::What::PeerLost, {}, 0,
                          0, peer);
        }
        const auto best = core_.detector.best_link(peer);
        auto& told = core_.told_links[peer];
        if (told == best) continue;
        told = best;
        context.actions.emplace_back(UseLink{.peer = peer, .link = best});
    }
    return change;
}

void Ring::send_heartbeat(Context& context, const FailureDetector::Beat& beat) const {
    const auto now_ns = static_cast<std::uint64_t>(core_.now.time_since_epoch().count());
    context.actions.emplace_back(SendTo{
        .to = beat.peer,
        .link = beat.link,
        .packet =
            encode_heartbeat({.reply_wanted = beat.reply_wanted,
                              .promise = beat.promise,
                              .ring = core_.installed ? core_.installed->ring : base::RingId{},
                              .row = core_.connectivity.own(),
                              .sent_ns = std::max<std::uint64_t>(now_ns, 1),
                              .echo_ns = beat.echo_ns,
                              .echo_age_ns = beat.echo_age_ns})});
}

void Ring::go_on_leaving(Context& context) {
    if (core_.leaving != Core::Leaving::Draining) return;
    const auto* operational = std::get_if<Operational>(&state_);
    const bool drained =
        core_.queue.empty() &&
        (operational == nullptr || core_.installed->safe_line >= core_.installed->store.high());
    if (!drained && core_.now < core_.leave_by) return;
    core_.leaving = Core::Leaving::Gone;
    // Twice: one packet more is cheaper than a silence that the others wait out.
    const base::Buffer leave = encode_leave({.incarnation = core_.connectivity.own().incarnation});
    context.send_to_all(SendToAll::Audience::Configured, leave);
    context.send_to_all(SendToAll::Audience::Configured, leave);
    context.actions.emplace_back(Left{});
}

void Ring::change(Next next) {
    if (next) state_ = std::move(*next);  // The only place where the state changes.
}

void Ring::check_invariants() const {
    if (!core_.installed) return;
    const Configuration& ring = *core_.installed;
    INVARIANT(ring.members.contains(core_.self));
    INVARIANT(ring.safe_line <= ring.store.aru());
    INVARIANT(ring.store.released() <= ring.delivery.delivered());
    INVARIANT(ring.ring.seq <= core_.ring_seq_max);
}

RingStatus Ring::status() const {
    static constexpr std::string_view kNames[] = {"gather", "commit", "recovery", "operational"};
    RingStatus status{.state = kNames[state_.index()],
                      .members = {},
                      .peers = {},
                      .queue_bytes = core_.queue.bytes(),
                      .window_bytes = core_.window.bytes(),
                      .last_gather = core_.last_gather};
    if (core_.installed) {
        const Configuration& ring = *core_.installed;
        status.ring = ring.ring;
        status.members = ring.members;
        status.seq = ring.store.high();
        status.aru = ring.store.aru();
        status.safe_line = ring.safe_line;
        status.delivered = ring.delivery.delivered();
        status.packet_bytes = ring.packet_bytes;
        status.features = ring.features;
    }
    if (const auto* operational = std::get_if<Operational>(&state_)) {
        status.holds_token = operational->parked.has_value();
    }
    for (const base::NodeId peer : core_.detector.peers()) {
        const auto resent = core_.stats.resent_to.find(peer);
        status.peers.push_back(
            {.node = peer,
             .heard = core_.detector.hears(peer, core_.now),
             .best_link = core_.detector.best_link(peer),
             .lifeline = core_.detector.lifeline(peer),
             .links = core_.detector.health(peer),
             .messages_resent = resent == core_.stats.resent_to.end() ? 0 : resent->second});
    }
    return status;
}

}  // namespace totem
