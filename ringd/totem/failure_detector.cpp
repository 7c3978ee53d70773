#include "ringd/totem/failure_detector.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace totem {
namespace {

// A path that was silent for too long must show this many heartbeats before it counts again, so
// that one that drops most packets does not flap.
constexpr std::uint32_t kBeatsToRevive = 3;

// Whom somebody has just ceased to hear needs no more than one answer of its kernel to be gone.
constexpr Duration kAccusationCounts = std::chrono::seconds(1);

Duration smoothed(Duration mean, Duration sample, int weight) {
    return mean + (sample - mean) / weight;
}

}  // namespace

FailureDetector::FailureDetector(const RingConfig& config, Instant now) : settings_(config) {
    configure(config.peers, now);
}

void FailureDetector::configure(const std::vector<Peer>& peers, Instant now) {
    std::map<base::NodeId, PeerState> kept;
    nodes_.clear();
    for (const Peer& peer : peers) {
        PeerState state;
        const auto before = peers_.find(peer.node);
        if (before != peers_.end()) state = std::move(before->second);
        std::vector<Path> paths;
        for (const LinkId link : peer.links) {
            const auto same = std::ranges::find_if(
                state.paths, [&](const Path& path) { return path.health.link == link; });
            if (same != state.paths.end()) {
                paths.push_back(*same);
            } else {
                paths.emplace_back();
                paths.back().health.link = link;
                paths.back().beat_due = now;
                paths.back().reply_due = true;  // That is: ask at once.
            }
        }
        state.paths = std::move(paths);
        choose_best(state);
        kept.emplace(peer.node, std::move(state));
        nodes_.push_back(peer.node);
    }
    peers_ = std::move(kept);
    next_tick_ = now;
    ++generation_;
}

void FailureDetector::retime(const RingSettings& settings, Instant now) {
    Former former{.heartbeat_interval = heartbeat_interval(),
                  .silence_min = silence_min(),
                  .silence_max = silence_max()};
    former.until = now + std::max(former.silence_max, settings.silence_max);
    former_ = former;
    settings_ = settings;
    hurry(now);  // What is due is computed anew from here.
}

void FailureDetector::packet_arrived(base::NodeId peer, LinkId link, Instant now) {
    Path* path = path_of(peer, link);
    if (path == nullptr) return;
    PeerState& state = peers_.at(peer);
    if (state.run_over) return;
    gave_a_sign(state);
    // Traffic keeps a path up; only heartbeats bring it up.
    if (!path->health.up) return;
    path->health.last_heard = now;
    path->doubted_until.reset();
}

bool FailureDetector::accept_run(PeerState& peer, const Incarnation& incarnation, Instant now) {
    const bool is_current = peer.run == incarnation && !peer.run_over;
    if (is_current) return true;
    const bool is_later = !peer.run || incarnation > *peer.run;
    if (!is_later) {
        if (peer.late_run != incarnation) peer.late_beats = 0;
        peer.late_run = incarnation;
        if (++peer.late_beats < kBeatsToRevive) return false;
    }
    peer.had_run_before = peer.run.has_value();
    peer.run = incarnation;
    peer.run_over = false;
    peer.run_since = now;
    peer.late_beats = 0;
    peer.is_near = peer.is_far = false;  // It may be of an older version.
    peer.told_beats = 0;
    // The gap between two lives says nothing of the path.
    for (Path& path : peer.paths)
        path.last_beat.reset();
    return true;
}

bool FailureDetector::is_over(base::NodeId peer, const Incarnation& incarnation) const {
    const auto found = peers_.find(peer);
    if (found == peers_.end() || !found->second.run) return false;
    const PeerState& state = found->second;
    return incarnation < *state.run || (incarnation == *state.run && state.run_over);
}

bool FailureDetector::heartbeat_arrived(base::NodeId peer, LinkId link, const Heartbeat& heartbeat,
                                        Instant now) {
    Path* path = path_of(peer, link);
    if (path == nullptr) return false;
    PeerState& state = peers_.at(peer);
    if (!accept_run(state, heartbeat.row.incarnation, now)) return false;
    gave_a_sign(state);

    path->peer_sent_ns = heartbeat.sent_ns;
    path->peer_sent_at = now;
    if (heartbeat.reply_wanted) {
        path->beat_due = now;
        next_tick_ = now;
    }
    keep_step(peer, path->beat_due, now);

    const auto now_ns = static_cast<std::uint64_t>(now.time_since_epoch().count());
    if (heartbeat.echo_ns != 0 && heartbeat.echo_ns <= now_ns &&
        heartbeat.echo_age_ns <= now_ns - heartbeat.echo_ns) {
        const Duration rtt{
            static_cast<std::int64_t>(now_ns - heartbeat.echo_ns - heartbeat.echo_age_ns)};
        path->health.rtt =
            path->health.rtt == Duration{} ? rtt : smoothed(path->health.rtt, rtt, 8);
    }
    // A longer gap is an outage and no jitter: no limit would have borne it. And rare heartbeats
    // come when they are asked for.
    const Duration promised = heartbeat.promise * Duration(kPromiseUnit);
    const bool is_same_rate = path->promised == promised;
    path->promised = promised;
    path->doubted_until.reset();
    if (!is_same_rate) path->mean_gap = Duration{};
    if (is_same_rate && !is_rare(*path) && path->last_beat &&
        now - *path->last_beat <= silence_max()) {
        const Duration gap = now - *path->last_beat;
        // Who takes turns comes early now and then, and says when at the latest.
        const Duration mean = is_asked(*path)                ? promised
                              : path->mean_gap == Duration{} ? gap
                                                             : path->mean_gap;
        const Duration early = is_asked(*path) ? Duration{} : mean - gap;
        const Duration deviation = gap > mean ? gap - mean : early;
        path->mean_gap = is_asked(*path) ? mean : smoothed(mean, gap, 16);
        path->health.jitter = smoothed(path->health.jitter, deviation, 16);
    }
    path->last_beat = now;

    if (path->beats_since_down) ++*path->beats_since_down;
    const bool proven = !path->beats_since_down || *path->beats_since_down >= kBeatsToRevive;
    // What comes in on a link that is said to be lost proves that it is not.
    if (path->health.up || proven) {
        path->health.up = true;
        path->health.last_heard = now;
        state.ever_heard = true;
        choose_best(state);
    }
    return true;
}

void FailureDetector::gave_a_sign(PeerState& peer) {
    peer.unreachable = 0;
    peer.probing = false;
    peer.refuses = false;
    peer.has_hung_up = false;
}

void FailureDetector::port_unreachable(base::NodeId peer, LinkId link, Instant now) {
    if (path_of(peer, link) == nullptr) return;
    PeerState& state = peers_.at(peer);
    if (!state.best) {
        // There is nothing to convict: probes of all to each node that is not there yet would be
        // most of the packets when many start.
        state.refuses = true;
        state.probing = false;
        return;
    }
    // A single one can be forged, or be an echo of a restart: see what a probe meets.
    if (!state.probing) begin_probing(state, now);
    // The answers to a burst count as well: a kernel gives six at once and then one a second
    // (icmp_ratelimit), so that a busy ring leaves none for the probes.
    ++state.unreachable;
    judge_refusals(state, now);
}

void FailureDetector::begin_probing(PeerState& peer, Instant now) {
    peer.probing = true;
    peer.probes = 0;
    peer.unreachable = 0;
    peer.probe_due = now;
    next_tick_ = now;
}

void FailureDetector::judge_refusals(PeerState& peer, Instant now) {
    if (peer.unreachable < refusals_to_convict(peer, now)) return;
    peer.probing = false;
    peer.refuses = true;
    take_down(peer);
}

std::uint32_t FailureDetector::refusals_to_convict(const PeerState& peer, Instant now) const {
    if (now - peer.accused_at < kAccusationCounts) return 1;
    if (!peer.has_hung_up) return settings_.probes_to_convict;
    // One for each link: who has moved an address lives, and answers on another one.
    const auto links =
        std::ranges::count(peer.paths, true, [](const Path& path) { return path.health.up; });
    return std::min(settings_.probes_to_convict, static_cast<std::uint32_t>(links));
}

void FailureDetector::link_changed(LinkId link, bool has_carrier, Instant now) {
    for (auto& [node, state] : peers_) {
        for (Path& path : state.paths) {
            if (path.health.link != link) continue;
            if (has_carrier) {
                // Our own cable is back: that says nothing against the peer, so no probation.
                path.beats_since_down.reset();
            } else {
                path.health.up = false;
                path.beats_since_down = 0;
            }
            path.beat_due = now;
            path.reply_due = true;
        }
        choose_best(state);
    }
    next_tick_ = now;
}

bool FailureDetector::obituary(base::NodeId peer, Instant now) {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return false;
    const PeerState& state = found->second;
    const bool is_of_run_before = state.had_run_before && now - state.run_since < silence_min();
    if (is_of_run_before) return false;
    convict(peer);
    return true;
}

void FailureDetector::convict(base::NodeId peer) {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return;
    found->second.run_over = true;
    found->second.late_beats = 0;
    take_down(found->second);
    // What comes next is another process, with nothing to be held against it.
    for (Path& path : found->second.paths)
        path.beats_since_down.reset();
}

void FailureDetector::accuse(base::NodeId peer, Instant now) {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return;
    found->second.accused_at = now;
    for (Path& path : found->second.paths) {
        if (!path.health.up) continue;
        if (is_rare(path)) {
            doubt(path, now, silence_min() / 2, now);
        } else if (now - *path.health.last_heard > silence_limit(path) / 2) {
            path.health.up = false;
            path.beats_since_down = 0;
        } else {
            path.beat_due = now;
            path.reply_due = true;
            next_tick_ = now;
        }
    }
    choose_best(found->second);
}

void FailureDetector::expect_all(Instant now) {
    if (!are_many()) return;
    for (auto& [node, state] : peers_) {
        for (Path& path : state.paths) {
            if (!path.health.up || !is_rare(path)) continue;
            // Its join is on its way: only who says nothing is asked.
            doubt(path, now + silence_min() / 3, silence_min(), now);
        }
    }
}

// It is asked from `first_ask` on, and given up `patience` from now, if nothing comes.
void FailureDetector::doubt(Path& path, Instant first_ask, Duration patience, Instant now) {
    const Instant until = now + patience;
    if (path.doubted_until && *path.doubted_until <= until) return;
    path.doubted_until = until;
    path.beat_due = std::min(path.beat_due, first_ask);
    path.reply_due = true;
    next_tick_ = std::min(next_tick_, path.beat_due);
}

void FailureDetector::shun(base::NodeId peer, Instant until) {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return;
    found->second.shunned_until = until;
    ++generation_;
}

void FailureDetector::paused(Duration length) {
    for (auto& [node, state] : peers_) {
        for (Path& path : state.paths) {
            if (path.health.last_heard) *path.health.last_heard += length;
            if (path.doubted_until) *path.doubted_until += length;
            path.last_beat.reset();  // The gap is ours, not the path's.
        }
    }
}

bool FailureDetector::hears(base::NodeId peer, Instant now) const {
    const auto found = peers_.find(peer);
    return found != peers_.end() && found->second.best.has_value() &&
           found->second.shunned_until <= now;
}

bool FailureDetector::ever_heard(base::NodeId peer) const {
    const auto found = peers_.find(peer);
    return found != peers_.end() && found->second.ever_heard;
}

std::optional<LinkId> FailureDetector::best_link(base::NodeId peer) const {
    const auto found = peers_.find(peer);
    return found == peers_.end() ? std::nullopt : found->second.best;
}

std::vector<LinkHealth> FailureDetector::health(base::NodeId peer) const {
    std::vector<LinkHealth> links;
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return links;
    for (const Path& path : found->second.paths)
        links.push_back(path.health);
    return links;
}

void FailureDetector::take_down(PeerState& peer) {
    peer.has_hung_up = false;
    for (Path& path : peer.paths) {
        path.health.up = false;
        path.beats_since_down = 0;
    }
    choose_best(peer);
}

void FailureDetector::choose_best(PeerState& peer) {
    const Path* best = nullptr;
    for (const Path& path : peer.paths) {
        if (!path.health.up) continue;
        const bool is_current = peer.best == path.health.link;
        // A path must be twice as fast to be worth a change; among equals the lowest link stays.
        const bool better = best == nullptr || path.health.rtt * 2 < best->health.rtt ||
                            (is_current && path.health.rtt < best->health.rtt * 2 &&
                             best->health.link != peer.best);
        if (better) best = &path;
    }
    const auto chosen = best == nullptr ? std::nullopt : std::optional(best->health.link);
    if (chosen != peer.best) ++generation_;
    peer.best = chosen;
}

FailureDetector::Path* FailureDetector::path_of(base::NodeId peer, LinkId link) {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return nullptr;
    for (Path& path : found->second.paths) {
        if (path.health.link == link) return &path;
    }
    return nullptr;
}

}  // namespace totem
