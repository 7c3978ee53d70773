// Processes of a simulated cluster: each turn of the loop as ringd's driver does it.
#include <algorithm>

#include "common/base/pieces.hpp"
#include "tests/sim/cluster.hpp"
#include "tests/sim/payload.hpp"

namespace sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kBatch = 64;  // Packets that one turn takes from the socket.
constexpr base::Duration kTimerSlack = microseconds(1);
constexpr base::Duration kPauseNoticed = milliseconds(10);
constexpr std::uint64_t kTurnsInARowMax = 5'000;  // Within a millisecond.
constexpr std::size_t kJournalBytes = std::size_t{512} << 10u;

// What ringd does when its ring id file is gone: any id above all that it can have used. The wall
// clock is such, since a ring takes longer to form than a millisecond.
base::RingId guarded_ring_id(base::Instant now, base::NodeId node) {
    const auto ticks = std::chrono::duration_cast<microseconds>(now.time_since_epoch()).count();
    return {.seq = static_cast<std::uint64_t>(ticks) << 8u, .representative = node};
}

}  // namespace

std::vector<totem::Peer> Cluster::peers_of(const Host& host) const {
    std::vector<totem::LinkId> links;
    for (std::size_t link = 0; link < plan_.links; ++link) {
        links.push_back(totem::LinkId{static_cast<std::uint8_t>(link)});
    }
    std::vector<totem::Peer> peers;
    for (const Host& other : hosts_) {
        if (&other == &host || !host.knows[other.index]) continue;
        peers.push_back({.node = other.node, .links = links});
    }
    return peers;
}

void Cluster::start(Host& host) {
    if (host.disk_lost) {
        host.durable = guarded_ring_id(now_, host.node);
        host.disk_lost = false;
    }
    host.who = {.node = host.node, .life = ++host.lives};
    host.packet_bytes_told = host.packet_bytes_max;
    const totem::RingConfig config = settings_of(host);
    host.best_link.assign(hosts_.size(), std::nullopt);
    host.wants_lifeline.assign(hosts_.size(), false);
    note(host.who, Started{host.durable});
    host.ring.emplace(config, host.durable, random_.next(), now_);
    host.told.push_back(totem::DeadlinePassed{});
    if (plan_.has_kills) {
        host.memory.assign(kJournalBytes, std::byte{0});
        host.journal.emplace(host.memory, resume::Stamp{});
    }
    if (services_) services_->started(host.index);
    turn_within(host, random_.between(microseconds(0), milliseconds(3)));
}

void Cluster::stop(Host& host, Ended::How how) {
    note(host.who, Ended{how});
    if (services_) services_->ended(host.index, host.host_down > 0);
    // The disk may or may not have had it.
    if (host.storing && random_.chance(500'000)) host.durable = *host.storing;
    end_lifelines(host);
    host.ring.reset();
    host.socket.clear();
    host.socket_bytes = 0;
    host.told.clear();
    host.requests.clear();
    host.submitted = 0;
    host.leaving = false;
    host.crash_soon = false;
    host.storing.reset();
    host.store_next.reset();
    host.audience.clear();
    host.current.reset();
    host.members.clear();
    host.delivered = 0;
    host.came_back = 0;
    host.turn_at.reset();
    host.journal.reset();
    host.kill_soon.reset();
    host.killed_at.reset();
    host.acted = 0;
}

void Cluster::turn_within(Host& host, base::Duration delay) {
    schedule_turn(host, now_ + delay);
}

void Cluster::schedule_turn(Host& host, base::Instant at) {
    if (host.turn_at && *host.turn_at <= at) return;
    host.turn_at = at;
    schedule_.at(at, Turn{host.index});
}

// A turn: what the host itself says, then a batch of packets and Drained, then what the
// application wants, then the deadline.
void Cluster::turn(Host& host) {
    if (now_ - host.row_began > milliseconds(1)) {
        host.row_began = now_;
        host.turns_in_a_row = 0;
    }
    if (++host.turns_in_a_row > kTurnsInARowMax) {
        note(host.who, Spinning{});
        gave_up_ = true;
        return;
    }
    if (services_) services_->begin_turn(host.index);
    for (std::size_t count = host.told.size(); count > 0; --count) {
        const totem::Event event = std::move(host.told.front());
        host.told.erase(host.told.begin());
        if (!step(host, event)) return;
    }
    if (!host.socket.empty() && !step_packets(host)) return;
    step_requests(host);
    if (!host.is_running()) return;
    if (services_ && !step_services(host)) return;
    const auto deadline = host.ring->next_deadline();
    if (deadline && *deadline <= now_ && !step(host, totem::DeadlinePassed{})) return;
    const bool more = !host.socket.empty() || !host.told.empty();
    if (more) turn_within(host, plan_.turn_latency + host.turn_delay);
    if (const auto next = host.ring->next_deadline()) {
        schedule_turn(host, std::max(*next, now_ + kTimerSlack));
    }
    if (services_) services_->end_turn(host.index);
    archive_and_restore(host);
    if (!services_) return;
    if (const auto next = services_->next_deadline(host.index)) {
        schedule_turn(host, std::max(*next, now_ + kTimerSlack));
    }
}

void Cluster::archive_and_restore(Host& host) {
    constexpr Ppm kOften = 100'000;
    if (!plan_.archives || !host.ring->can_be_archived() || !archivist_.chance(kOften)) return;
    base::ArchiveWriter writer;
    host.ring->archive_to(writer);
    base::ArchiveReader reader(writer.bytes());
    auto restored = totem::Ring::restore(settings_of(host), reader);
    INVARIANT(restored.has_value());
    INVARIANT(reader.remaining() == 0);
    host.ring.emplace(std::move(*restored));
    if (services_) services_->archive_and_restore(host.index);
}

bool Cluster::step_packets(Host& host) {
    for (std::size_t taken = 0; taken < kBatch && !host.socket.empty();) {
        const auto [event, packets] = take_packets(host, kBatch - taken);
        taken += packets;
        if (!step(host, event)) return false;
    }
    return !host.socket.empty() || step(host, totem::Drained{});
}

// As a transport tells it: what follows each other from one sender comes together.
std::pair<totem::Event, std::size_t> Cluster::take_packets(Host& host, std::size_t most) {
    const base::NodeId from = host.socket.front().from;
    const totem::LinkId link = host.socket.front().link;
    std::vector<base::Buffer> packets;
    while (packets.size() < most && !host.socket.empty()) {
        Inbound& next = host.socket.front();
        if (next.from != from || next.link != link) break;
        tap_.received(now_, host.who, from, next.packet);
        host.socket_bytes -= next.packet.size();
        packets.push_back(std::move(next.packet));
        host.socket.pop_front();
    }
    const std::size_t count = packets.size();
    if (count == 1) {
        return {totem::PacketArrived{.from = from, .link = link, .packet = packets.front()}, 1};
    }
    totem::PacketsArrived arrived{
        .from = from, .link = link, .bytes = base::joined(packets), .lengths = {}};
    for (const base::Buffer& packet : packets)
        arrived.lengths.push_back(static_cast<std::uint16_t>(packet.size()));
    return {std::move(arrived), count};
}

void Cluster::step_requests(Host& host) {
    while (host.is_running() && !host.leaving && !host.requests.empty()) {
        const Request request = host.requests.front();
        if (host.ring->submit_room() < request.size) return;
        host.requests.pop_front();
        const MessageId message{.sender = host.who, .number = ++host.submitted};
        note(host.who, Sent{.number = message.number,
                            .guarantee = request.guarantee,
                            .urgent = request.urgent,
                            .size = request.size});
        if (!step(host, totem::Submitted{.number = message.number,
                                         .guarantee = request.guarantee,
                                         .urgent = request.urgent,
                                         .payload = make_payload(message, request.size)})) {
            return;
        }
    }
}

// False: the process died in it.
bool Cluster::step_services(Host& host) {
    std::vector<totem::Submitted> submissions;
    const std::size_t room = host.leaving ? 0 : host.ring->submit_room();
    services_->take_submissions(host.index, room, submissions);
    for (auto submission = submissions.begin(); submission != submissions.end(); ++submission) {
        const std::size_t told = host.told.size();
        if (step(host, *submission)) continue;
        // The stream outlives a kill, and has given these: the next process hears them, behind the
        // one that it hears again if it was lost.
        if (host.killed_at) {
            const auto again = static_cast<std::ptrdiff_t>(host.told.size() - told);
            host.told.insert(host.told.begin() + again, submission + 1, submissions.end());
        }
        return false;
    }
    return true;
}

bool Cluster::step(Host& host, const totem::Event& event) {
    if (const auto* changed = std::get_if<totem::PacketBytesChanged>(&event)) {
        host.packet_bytes_told = changed->packet_bytes_max;
    }
    if (host.journal) return step_recorded(host, event);
    actions_.clear();
    host.ring->step(now_, event, actions_);
    return act(host);
}

totem::RingConfig Cluster::settings_of(const Host& host) const {
    totem::RingConfig config = plan_.settings;
    static_cast<totem::RingSettings&>(config) = settings_;  // The file is as it is by now.
    config.self = host.node;
    config.peers = peers_of(host);
    config.packet_bytes_max = host.packet_bytes_told;
    return config;
}

bool Cluster::act(Host& host) {
    if (tamper_) tamper_(host.who, actions_);
    const std::size_t count = actions_.size();
    std::size_t done = count;
    const bool tears = host.crash_soon && count > 0;
    if (tears) done = random_.index(count + 1);
    for (std::size_t i = 0; i < done; ++i) {
        std::visit([&](const auto& action) { act(host, action); }, actions_[i]);
        if (!host.is_running()) return false;
    }
    if (tears) die(host);
    return !tears;
}

void Cluster::act(Host& host, const totem::SendTo& action) {
    tap_.sent(now_, host.who, action.packet);
    send(host, action.to, action.link, action.packet);
}

void Cluster::act(Host& host, const totem::SendToAll& action) {
    tap_.sent(now_, host.who, action.packet);
    if (action.audience == totem::SendToAll::Audience::Members) {
        for (const base::NodeId to : host.audience)
            send(host, to, std::nullopt, action.packet);
        return;
    }
    for (const Host& other : hosts_) {
        if (&other == &host || !host.knows[other.index]) continue;
        send(host, other.node, std::nullopt, action.packet);
    }
}

void Cluster::act(Host& host, const totem::SetAudience& action) {
    host.audience = action.members;
}

void Cluster::act(Host& host, const totem::UseLink& action) {
    host.best_link[index_of(action.peer)] = action.link;
}

void Cluster::act(Host& host, const totem::KeepLifelines& action) {
    host.wants_lifeline.assign(hosts_.size(), false);
    for (const base::NodeId peer : action.peers)
        host.wants_lifeline[index_of(peer)] = true;
    // Whose are closed by a living process learn that, and nothing else.
    std::erase_if(lifelines_, [&](const auto& pair) {
        if (pair.first != host.index && pair.second != host.index) return false;
        const NodeIndex other = pair.first == host.index ? pair.second : pair.first;
        if (host.wants_lifeline[other]) return false;
        if (hosts_[other].is_running() && !network_.is_cut(host.index, other)) {
            schedule_.at(now_ + lifeliner_.between(base::Duration{}, milliseconds(2)),
                         Tell{.node = other,
                              .life = hosts_[other].who.life,
                              .event = totem::PeerEvidence{
                                  .peer = host.node,
                                  .link = {},
                                  .kind = totem::PeerEvidence::Kind::LifelineDown}});
        }
        return true;
    });
    make_lifelines(host);
}

// As ringd's RingIdWriter: one at a time, and a newer one replaces one that waits.
void Cluster::act(Host& host, const totem::StoreRing& action) {
    if (host.storing) {
        host.store_next = action.ring;
        return;
    }
    host.storing = action.ring;
    schedule_.at(now_ + random_.between(plan_.store_min, plan_.store_max) + host.disk_delay,
                 DiskDone{.node = host.index, .life = host.who.life, .ring = action.ring});
}

void Cluster::act(Host& host, const totem::Deliver& action) {
    if (services_) return services_->delivered(host.index, action);
    const auto message = read_payload(action.payload);
    ++host.delivered;
    if (message && message->sender == host.who) ++host.came_back;
    note(host.who, Delivered{.ring = action.ring,
                             .seq = action.seq,
                             .index = action.index,
                             .sender = action.sender,
                             .guarantee = action.guarantee,
                             .message = message.value_or(MessageId{}),
                             .intact = message.has_value(),
                             .size = action.payload.size()});
}

void Cluster::act(Host& host, const totem::InstallConfiguration& action) {
    note(host.who, Installed{action});
    last_change_ = now_;
    if (services_) services_->installed(host.index, action);
    if (action.kind != totem::InstallConfiguration::Kind::Regular) return;
    host.current = action.ring;
    host.members = action.members;
    host.delivered = 0;
}

void Cluster::act(Host& host, const totem::Taken& action) {
    if (services_) return services_->taken(host.index, action);
    note(host.who, TakenTo{action.number});
    if (!host.requests.empty()) turn_within(host, base::Duration{});
}

void Cluster::act(Host& host, const totem::Left&) {
    stop(host, Ended::How::Left);
}

void Cluster::send(Host& host, base::NodeId to, std::optional<totem::LinkId> link,
                   const base::Buffer& packet) {
    if (packet.size() > host.packet_bytes_told) {
        note(host.who, TooLarge{.bytes = packet.size(), .limit = host.packet_bytes_told});
    }
    if (packet.size() > host.packet_bytes_max) return;
    const NodeIndex index = index_of(to);
    const auto chosen = link ? link : host.best_link[index];
    if (chosen) return send_on(host, index, chosen->value(), packet);
    for (std::size_t i = 0; i < plan_.links; ++i)
        send_on(host, index, i, packet);
}

void Cluster::send_on(Host& host, NodeIndex to, std::size_t link, const base::Buffer& packet) {
    arrivals_.clear();
    network_.send(now_, {.from = host.index, .to = to, .link = link}, packet.size(), arrivals_);
    for (const base::Instant arrival : arrivals_) {
        schedule_.at(arrival, Arrival{.from = host.index,
                                      .to = to,
                                      .link = totem::LinkId{static_cast<std::uint8_t>(link)},
                                      .packet = packet});
    }
}

}  // namespace sim
