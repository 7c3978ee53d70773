#include "tests/sim/cluster.hpp"

#include <algorithm>

namespace sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr base::Instant kStart{std::chrono::seconds(1)};  // Time 0 is nobody's first step.
constexpr std::size_t kRequestsMax = 64;                  // Then the application waits.
constexpr std::size_t kFinalMessages = 2;                 // Of each node, at the end.
// Longer than any time that a daemon waits for another.
constexpr base::Duration kServicesRest = std::chrono::seconds(60);

}  // namespace

Cluster::Cluster(const Plan& plan, Trace& trace, Tamper tamper, const MakeServices& services)
    : plan_(plan),
      settings_(plan.settings),
      trace_(trace),
      tap_(trace),
      tamper_(std::move(tamper)),
      now_(kStart),
      network_(plan),
      random_(plan.seed, 4),
      application_(plan.seed, 5),
      archivist_(plan.seed, 7),
      lifeliner_(plan.seed, 8),
      hosts_(plan.nodes.size()),
      last_change_(kStart),
      work_until_(kStart + plan.chaos) {
    for (NodeIndex i = 0; i < hosts_.size(); ++i) {
        Host& host = hosts_[i];
        host.index = i;
        host.node = plan.nodes[i];
        host.packet_bytes_max = plan.settings.packet_bytes_max;
        host.knows.assign(hosts_.size(), true);
    }
    if (services) services_ = services(plan, *this);
    for (std::size_t i = 0; i < plan.faults.size(); ++i) {
        schedule_.at(kStart + plan.faults[i].begin, Begin{i});
        schedule_.at(kStart + plan.faults[i].end(), End{i});
    }
}

void Cluster::run() {
    for (Host& host : hosts_) {
        start(host);
        if (services_) continue;
        schedule_.at(now_ + random_.between(microseconds(0), milliseconds(5)), Work{host.index});
    }
    if (services_) services_->begin();
    run_until(kStart + plan_.chaos);
    network_.calm_down();
    if (services_) return run_services();
    for (NodeIndex i = 0; i < hosts_.size(); ++i) {
        if ((plan_.down >> i & 1u) == 0) continue;
        ++hosts_[i].down;
        if (hosts_[i].is_running()) stop(hosts_[i], Ended::How::Crashed);
    }
    if (!plan_.partial.empty()) {
        for (const Paths& paths : plan_.partial)
            network_.begin(Cut{.paths = paths});
        if (plan_.work.in_partial_phase) {
            work_until_ = now_ + settle_bound(plan_);
            for (const Host& host : hosts_)
                schedule_.at(now_, Work{host.index});
        }
        begin_phase();
        run_phase();
        note({}, PhaseEnded{});
        for (const Paths& paths : plan_.partial)
            network_.end(Cut{.paths = paths});
        work_until_ = now_;
    }
    begin_phase();
    run_phase();
    send_once_more();
    note({}, PhaseEnded{});
}

// Everything is up and connected: they come to rest, each sends once more, and they come to rest.
void Cluster::run_services() {
    services_->calm_down();
    begin_phase();
    run_phase();
    services_rested_ = true;
    for (const bool sends : {true, false}) {
        const base::Instant end = now_ + kServicesRest;
        while (now_ < end && !gave_up_ && !services_->is_at_rest())
            run_until(now_ + milliseconds(20));
        services_rested_ = services_rested_ && services_->is_at_rest();
        if (sends) services_->send_once_more();
    }
    note({}, PhaseEnded{});
}

void Cluster::judge_services(Report& report) {
    const std::size_t last = trace_.empty() ? 0 : trace_.size() - 1;
    if (!services_rested_) report.add("L1", last, "the services come to rest");
    services_->judge(report, last);
}

void Cluster::at(base::Instant when, std::function<void()> what) {
    schedule_.at(when, Call{std::move(what)});
}

void Cluster::wake(NodeIndex node) {
    Host& host = hosts_[node];
    if (host.is_running()) turn_within(host, plan_.turn_latency + host.turn_delay);
}

void Cluster::say(NodeIndex node, std::string text) {
    note(hosts_[node].who, Said{std::move(text)});
}

void Cluster::on(Call& call) {
    call.what();
}

void Cluster::run_until(base::Instant end) {
    while (!schedule_.empty() && schedule_.next() <= end && !gave_up_) {
        now_ = schedule_.next();
        Happening what = schedule_.take();
        std::visit([this](auto& it) { on(it); }, what);
    }
    if (!gave_up_) now_ = std::max(now_, end);
}

void Cluster::begin_phase() {
    PhaseBegan phase{.running = {}, .cut = {}, .bound = settle_bound(plan_)};
    for (const Host& host : hosts_) {
        if (!host.is_running()) continue;
        phase.running.push_back(host.node);
        for (const Host& other : hosts_) {
            if (&other == &host || !other.is_running()) continue;
            if (network_.is_cut(host.index, other.index)) {
                phase.cut.emplace_back(host.node, other.node);
            }
        }
    }
    note({}, std::move(phase));
}

// Until all that should agree do, and long enough after to see that it lasts; or until they had
// their time.
void Cluster::run_phase() {
    const base::Instant began = now_;
    const base::Duration quiet = quiet_time(plan_);
    const base::Instant end = began + settle_bound(plan_) + quiet;
    last_change_ = std::max(last_change_, began);
    while (now_ < end && !gave_up_) {
        run_until(std::min(end, std::max(last_change_ + quiet, now_ + quiet / 8)));
        if (now_ >= last_change_ + quiet && is_settled()) return;
    }
}

bool Cluster::is_settled() const {
    return std::ranges::all_of(hosts_, [this](const Host& host) {
        if (!host.is_running()) return true;
        if (!host.current) return false;
        return std::ranges::all_of(host.members, [&](base::NodeId member) {
            return hosts_[index_of(member)].current == host.current;
        });
    });
}

void Cluster::send_once_more() {
    for (Host& host : hosts_) {
        if (!host.is_running()) continue;
        for (std::size_t i = 0; i < kFinalMessages; ++i) {
            host.requests.push_back(
                {.guarantee = i == 0 ? totem::Guarantee::Agreed : totem::Guarantee::Safe,
                 .urgent = false,
                 .size = 32});
        }
        turn_within(host, base::Duration{});
    }
    // Small windows and a flood can leave much to deliver: as long as something is, it goes on.
    const base::Duration patience = 4 * plan_.settings.token_timeout;
    const base::Duration step = plan_.settings.token_retransmit;
    std::uint64_t delivered = deliveries();
    base::Instant end = now_ + patience;
    while (now_ < end && !gave_up_ && !is_drained()) {
        run_until(now_ + step);
        if (const std::uint64_t now_delivered = deliveries(); now_delivered != delivered) {
            delivered = now_delivered;
            end = now_ + patience;
        }
    }
}

std::uint64_t Cluster::deliveries() const {
    std::uint64_t sum = 0;
    for (const Host& host : hosts_)
        sum += host.delivered;
    return sum;
}

// Each has its own back, and who shares a ring has the same.
bool Cluster::is_drained() const {
    return std::ranges::all_of(hosts_, [this](const Host& host) {
        if (!host.is_running()) return true;
        if (!host.requests.empty() || host.came_back < host.submitted) return false;
        return std::ranges::all_of(host.members, [&](base::NodeId member) {
            const Host& other = hosts_[index_of(member)];
            return other.current != host.current || other.delivered == host.delivered;
        });
    });
}

void Cluster::on(Arrival& arrival) {
    Host& host = hosts_[arrival.to];
    Host& sender = hosts_[arrival.from];
    if (!host.is_running() && !host.killed_at) {
        // The kernel says that nobody listens, if there is one and its answer gets through.
        if (host.host_down > 0 || !sender.is_running()) return;
        arrivals_.clear();
        network_.send(now_, {.from = arrival.to, .to = arrival.from, .link = arrival.link.value()},
                      64, arrivals_);
        if (arrivals_.empty()) return;
        schedule_.at(
            arrivals_.front(),
            Tell{.node = sender.index,
                 .life = sender.who.life,
                 .event = totem::PeerEvidence{.peer = host.node,
                                              .link = arrival.link,
                                              .kind = totem::PeerEvidence::Kind::PortUnreachable}});
        return;
    }
    const std::size_t bytes = arrival.packet.size();
    if (bytes > host.packet_bytes_max) return;
    if (host.socket_bytes + bytes > plan_.socket_bytes) return;
    if (!host.knows[arrival.from]) return;  // No key, no address: never gets up to the core.
    host.socket_bytes += bytes;
    host.socket.push_back(
        {.from = sender.node, .link = arrival.link, .packet = std::move(arrival.packet)});
    if (host.is_running()) turn_within(host, plan_.turn_latency + host.turn_delay);
}

void Cluster::on(Turn& it) {
    Host& host = hosts_[it.node];
    if (host.turn_at != now_) return;  // Another turn took its place.
    host.turn_at.reset();
    if (host.is_running() && host.paused == 0) turn(host);
}

void Cluster::on(Tell& tell) {
    Host& host = hosts_[tell.node];
    if ((!host.is_running() && !host.killed_at) || host.who.life != tell.life) return;
    // The configuration as it is by now, not as it was when the news set out.
    if (auto* peers = std::get_if<totem::PeersConfigured>(&tell.event))
        peers->peers = peers_of(host);
    if (auto* changed = std::get_if<totem::SettingsChanged>(&tell.event))
        changed->settings = settings_;
    host.told.push_back(tell.event);
    if (host.is_running()) turn_within(host, plan_.turn_latency);
}

void Cluster::on(DiskDone& done) {
    Host& host = hosts_[done.node];
    if (!host.is_running() || host.who.life != done.life) return;
    host.durable = done.ring;
    host.storing.reset();
    note(host.who, Stored{done.ring});
    host.told.push_back(totem::RingStored{done.ring});
    if (const auto next = std::exchange(host.store_next, std::nullopt)) {
        act(host, totem::StoreRing{*next});
    }
    turn_within(host, base::Duration{});
}

void Cluster::on(Work& work) {
    if (now_ >= work_until_) return;
    Host& host = hosts_[work.node];
    const Workload& load = plan_.work;
    const std::size_t size = application_.chance(load.large)
                                 ? application_.between(200, load.size_max)
                                 : application_.between(16, 200);
    const Request request{.guarantee = application_.chance(load.safe) ? totem::Guarantee::Safe
                                                                      : totem::Guarantee::Agreed,
                          .urgent = application_.chance(load.urgent),
                          .size = size};
    if (host.is_running() && host.requests.size() < kRequestsMax) {
        host.requests.push_back(request);
        turn_within(host, base::Duration{});
    }
    schedule_.at(now_ + application_.between(load.interval_min, load.interval_max), work);
}

void Cluster::on(Begin& it) {
    const Fault& fault = plan_.faults[it.fault];
    note({}, FaultBegan{to_text(fault)});
    std::visit([this](const auto& what) { begin(what); }, fault.what);
}

void Cluster::on(End& it) {
    const Fault& fault = plan_.faults[it.fault];
    note({}, FaultEnded{to_text(fault)});
    std::visit([this](const auto& what) { end(what); }, fault.what);
}

void Cluster::on(Give& give) {
    Host& host = hosts_[give.node];
    if (host.is_running() && host.who.life == give.life && host.crash_soon) die(host);
}

NodeIndex Cluster::index_of(base::NodeId node) const {
    const auto at = std::ranges::lower_bound(plan_.nodes, node);
    INVARIANT(at != plan_.nodes.end() && *at == node);
    return static_cast<NodeIndex>(at - plan_.nodes.begin());
}

}  // namespace sim
