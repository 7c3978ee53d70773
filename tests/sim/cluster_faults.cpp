// What each fault does to a simulated cluster when it begins and ends. Faults of one kind on one
// node may overlap: the last end counts.
#include <algorithm>

#include "tests/sim/cluster.hpp"

namespace sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr base::Duration kTornWithin = milliseconds(20);

}  // namespace

void Cluster::begin(const Cut& cut) {
    network_.begin(cut);
}
void Cluster::end(const Cut& cut) {
    network_.end(cut);
}
void Cluster::begin(const Degrade& degrade) {
    network_.begin(degrade);
}
void Cluster::end(const Degrade& degrade) {
    network_.end(degrade);
}

void Cluster::begin(const Pause& pause) {
    Host& host = hosts_[pause.node];
    if (host.paused++ == 0) host.paused_since = now_;
}

void Cluster::end(const Pause& pause) {
    Host& host = hosts_[pause.node];
    if (--host.paused > 0 || !host.is_running()) return;
    const base::Duration length = now_ - *host.paused_since;
    // Said before anything else; what arrived meanwhile is still in the socket.
    if (length >= milliseconds(10)) {
        host.told.insert(host.told.begin(), totem::Paused{.length = length});
    }
    host.turn_at.reset();
    turn_within(host, base::Duration{});
}

void Cluster::begin(const Crash& crash) {
    Host& host = hosts_[crash.node];
    ++host.down;
    if (crash.host == Crash::Host::Down) ++host.host_down;
    if (!host.is_running()) return;
    if (crash.disk == Crash::Disk::Lost) host.disk_lost = true;
    if (crash.torn && host.paused == 0) {
        host.crash_soon = true;
        schedule_.at(now_ + kTornWithin, Give{.node = crash.node, .life = host.who.life});
        return;
    }
    die(host);
    if (!crash.obituary || host.host_down > 0) return;
    for (Host& other : hosts_) {
        if (&other == &host || !other.is_running() || network_.is_cut(host.index, other.index)) {
            continue;
        }
        tell_later(other,
                   totem::PeerEvidence{.peer = host.node,
                                       .link = totem::LinkId{0},
                                       .kind = totem::PeerEvidence::Kind::Obituary},
                   milliseconds(2));
    }
}

void Cluster::end(const Crash& crash) {
    Host& host = hosts_[crash.node];
    if (crash.host == Crash::Host::Down) --host.host_down;
    if (host.crash_soon) die(host);
    release(host);
}

void Cluster::begin(const Leave& leave) {
    Host& host = hosts_[leave.node];
    ++host.down;
    if (!host.is_running() || host.leaving) return;
    host.leaving = true;
    host.requests.clear();
    tell_later(host, totem::LeaveRequested{}, base::Duration{});
}

// A driver gives the ring only so long.
void Cluster::end(const Leave& leave) {
    Host& host = hosts_[leave.node];
    if (host.is_running() && host.leaving) die(host);
    release(host);
}

void Cluster::begin(const SlowDisk& slow) {
    hosts_[slow.node].disk_delay += slow.delay;
}
void Cluster::end(const SlowDisk& slow) {
    hosts_[slow.node].disk_delay -= slow.delay;
}
void Cluster::begin(const SlowNode& slow) {
    hosts_[slow.node].turn_delay += slow.latency;
}
void Cluster::end(const SlowNode& slow) {
    hosts_[slow.node].turn_delay -= slow.latency;
}

void Cluster::begin(const LinkDown& down) {
    network_.begin(down);
    tell_later(
        hosts_[down.node],
        totem::PeerEvidence{
            .peer = base::kNoNode, .link = down.link, .kind = totem::PeerEvidence::Kind::LinkLost},
        milliseconds(1));
}

void Cluster::end(const LinkDown& down) {
    network_.end(down);
    tell_later(
        hosts_[down.node],
        totem::PeerEvidence{
            .peer = base::kNoNode, .link = down.link, .kind = totem::PeerEvidence::Kind::LinkBack},
        milliseconds(1));
}

void Cluster::begin(const Unconfigure& unconfigure) {
    Host& host = hosts_[unconfigure.node];
    ++host.down;
    if (host.is_running()) die(host);
    configure(host, false);
}

void Cluster::end(const Unconfigure& unconfigure) {
    Host& host = hosts_[unconfigure.node];
    configure(host, true);
    release(host);
}

void Cluster::configure(Host& about, bool known) {
    for (Host& other : hosts_) {
        if (&other == &about) continue;
        other.knows[about.index] = known;
        if (!other.is_running()) continue;
        tell_later(other, totem::PeersConfigured{.peers = peers_of(other)}, milliseconds(1));
    }
}

void Cluster::begin(const Retime& retime) {
    totem::RingSettings settings = plan_.settings;
    for (base::Duration* duration :
         {&settings.token_timeout, &settings.token_retransmit, &settings.join_interval,
          &settings.consensus_timeout, &settings.merge_interval, &settings.silence_min,
          &settings.silence_max}) {
        *duration = *duration * retime.percent / 100;
    }
    settings.heartbeat_interval = std::min(
        settings.heartbeat_interval * retime.heartbeat_percent / 100, settings.silence_min / 2);
    // A window of a few packets must stay one.
    const auto percent = static_cast<std::size_t>(std::max<std::int64_t>(retime.percent, 75));
    const auto share = [&](std::size_t bytes) { return bytes * percent / 100; };
    settings.window_bytes = share(settings.window_bytes);
    settings.visit_bytes = share(settings.visit_bytes);
    settings.accelerated_bytes = share(settings.accelerated_bytes);
    tell_settings(settings);
}
void Cluster::end(const Retime&) {
    tell_settings(plan_.settings);
}

void Cluster::tell_settings(const totem::RingSettings& settings) {
    settings_ = settings;
    for (Host& host : hosts_) {
        tell_later(host, totem::SettingsChanged{.settings = settings}, milliseconds(20));
    }
}

void Cluster::begin(const SmallPackets& small) {
    tell_path_size(small.packet_bytes_max);
}
void Cluster::end(const SmallPackets&) {
    tell_path_size(plan_.settings.packet_bytes_max);
}

// A host that is told late loses what it sends in between, as with a real path.
void Cluster::tell_path_size(std::size_t packet_bytes_max) {
    for (Host& host : hosts_) {
        host.packet_bytes_max = packet_bytes_max;
        if (!host.is_running()) continue;
        host.told.push_back(totem::PacketBytesChanged{.packet_bytes_max = packet_bytes_max});
        turn_within(host, base::Duration{});
    }
}

void Cluster::begin(const FalseAlarm& alarm) {
    if (!hosts_[alarm.at].is_running()) return;
    tell_later(hosts_[alarm.at],
               totem::PeerEvidence{.peer = hosts_[alarm.about].node,
                                   .link = alarm.link,
                                   .kind = totem::PeerEvidence::Kind::PortUnreachable},
               milliseconds(1));
}
void Cluster::end(const FalseAlarm&) {}

void Cluster::begin(const Flood& flood) {
    Host& host = hosts_[flood.node];
    if (!host.is_running() || services_) return;
    for (std::size_t i = 0; i < flood.messages; ++i) {
        host.requests.push_back({.guarantee = application_.chance(plan_.work.safe)
                                                  ? totem::Guarantee::Safe
                                                  : totem::Guarantee::Agreed,
                                 .urgent = false,
                                 .size = flood.size});
    }
    turn_within(host, base::Duration{});
}
void Cluster::end(const Flood&) {}

void Cluster::release(Host& host) {
    if (--host.down == 0 && !host.is_running()) start(host);
}

void Cluster::die(Host& host) {
    stop(host, Ended::How::Crashed);
}

void Cluster::tell_later(Host& host, const totem::Event& event, base::Duration within) {
    if (!host.is_running()) return;
    schedule_.at(now_ + random_.between(base::Duration{}, within),
                 Tell{.node = host.index, .life = host.who.life, .event = event});
}

}  // namespace sim
