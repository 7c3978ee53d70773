// How often the failure detector says something, and how long it bears a silence: both depend on
// the number of nodes, so that what all say together stays bounded.
#include <algorithm>

#include "ringd/totem/failure_detector.hpp"

namespace totem {
namespace {

// Up to here all-to-all heartbeats at the configured interval are no load worth speaking of.
constexpr std::size_t kNodesAtFullRate = 16;

// A word to all peers costs each node a packet a peer. Between two of them, and in the long run:
// 64 nodes on two processors together can bear no more than one in three join intervals each.
constexpr Duration kPaceAPeer = std::chrono::microseconds(200);
constexpr int kPeersAJoinInterval = 20;
constexpr int kWordJoinIntervalsMax = 8;
constexpr int kWordsAtOnce = 4;

// Each that starts makes a new ring of all that run: that is for several together.
constexpr int kPeersAMergeInterval = 25;
constexpr int kSettlingMergeIntervalsMax = 3;

// Calls of all nodes to one that is not there: ten in a heartbeat interval, however many they are.
constexpr int kCallsAHeartbeatInterval = 10;

// A kernel gives an answer a second for a port where nobody listens (icmp_ratelimit), and saves
// six: at the usual interval this is every two seconds.
constexpr int kRefusedCallIntervals = 20;

// Of n members that take turns each beats once in n - 1 intervals, so that somebody speaks to each
// of them as often as in a ring of two, and a port where nobody listens any more is met as soon. No
// rarer than so: a silence is borne longer by as much.
constexpr int kTurnIntervalsMax = 2;

// Where lifelines say whose process dies, heartbeats are there for what is cut off or stands still.
// As many half intervals, and no more than 7/12 of silence_min: a silence is borne for 3/2 of
// silence_min then, so that a pause of 11/12 of it is no death whenever it begins.
constexpr int kHalfIntervalsWithLifelines = 7;

// How many mean deviations beyond the usual gap a silence must last.
constexpr int kJitterFactor = 6;

// How often a member is beaten at the full rate first: after that it knows how often it will be.
// Among many who does not know it bears a longer silence than there will be.
constexpr std::uint32_t kToldBeatsAtFullRate = 6;
constexpr std::uint32_t kToldBeatsFar = 3;

}  // namespace

void FailureDetector::hurry(Instant now) {
    const Instant due = std::max(now, next_word());
    hurry_due_ = std::min(hurry_due_.value_or(due), due);
    next_tick_ = std::min(next_tick_, *hurry_due_);
}

bool FailureDetector::are_many() const {
    return nodes_.size() >= kNodesAtFullRate;
}

void FailureDetector::hurry_later(Instant now) {
    if (!are_many()) {
        hurry(now);
        return;
    }
    if (!hurry_due_) hurry_due_ = std::max(now + settling(), next_word());
    next_tick_ = std::min(next_tick_, *hurry_due_);
}

void FailureDetector::told_all(Instant now) {
    hurried_at_ = now;
    words_until_ = std::max(words_until_, now) + word_cost();
    hurry_due_.reset();
}

Duration FailureDetector::word_cost() const {
    const auto peers = static_cast<std::int64_t>(nodes_.size());
    return std::min(settings_.join_interval * peers / kPeersAJoinInterval,
                    settings_.join_interval * kWordJoinIntervalsMax);
}

Duration FailureDetector::settling() const {
    if (!are_many()) return Duration{};
    const auto peers = static_cast<std::int64_t>(nodes_.size());
    return std::min(settings_.merge_interval * peers / kPeersAMergeInterval,
                    settings_.merge_interval * kSettlingMergeIntervalsMax);
}

Duration FailureDetector::pace() const {
    const Duration of_all = kPaceAPeer * static_cast<std::int64_t>(nodes_.size());
    return std::min(of_all, settings_.join_interval);
}

Instant FailureDetector::next_word() const {
    if (!are_many()) return hurried_at_ + pace();
    return std::max(hurried_at_ + pace(), words_until_ - (kWordsAtOnce - 1) * word_cost());
}

Duration FailureDetector::beat_interval() const {
    const std::size_t times = 1 + nodes_.size() / kNodesAtFullRate;
    return heartbeat_interval() * static_cast<std::int64_t>(times);
}

Duration FailureDetector::call_interval() const {
    if (!are_many()) return beat_interval();
    return std::max(
        beat_interval(),
        heartbeat_interval() * static_cast<std::int64_t>(nodes_.size()) / kCallsAHeartbeatInterval);
}

bool FailureDetector::knows_our_rate(const PeerState& peer) {
    return peer.told_beats >= (peer.is_far ? kToldBeatsFar : kToldBeatsAtFullRate);
}

Duration FailureDetector::interval_to(const PeerState& peer, const Path& path) const {
    const bool is_proving = path.beats_since_down.value_or(0) > 0;
    if (path.doubted_until) return beat_interval() / 2;
    const bool knows = path.health.up && knows_our_rate(peer);
    if (knows && peer.is_near) return near_interval();
    if (knows && peer.is_far) return far_interval();
    if (path.health.up && peer.is_near) return heartbeat_interval();
    if (path.health.up || is_proving) return beat_interval();
    return peer.refuses ? std::max(call_interval(), kRefusedCallIntervals * heartbeat_interval())
                        : call_interval();
}

Duration FailureDetector::far_interval() const {
    // One that is missed, and a silence_min of asking, are silence_max together.
    return (silence_max() - silence_min()) * 2 / 3;
}

Duration FailureDetector::near_interval() const {
    const Duration usual = heartbeat_interval();
    if (!are_turns_taken()) return usual;
    if (turns_->all_have_lifelines) {
        return std::max(usual,
                        std::min(usual * kHalfIntervalsWithLifelines / 2, silence_min() * 7 / 12));
    }
    const int times = std::min(static_cast<int>(turns_->members) - 1, kTurnIntervalsMax);
    return std::max(usual, std::min(usual * times, silence_min() / 2));
}

Duration FailureDetector::heartbeat_interval() const {
    const Duration now = settings_.heartbeat_interval;
    return former_ ? std::min(now, former_->heartbeat_interval) : now;
}

Duration FailureDetector::silence_min() const {
    return former_ ? std::max(settings_.silence_min, former_->silence_min) : settings_.silence_min;
}

Duration FailureDetector::silence_max() const {
    return former_ ? std::max(settings_.silence_max, former_->silence_max) : settings_.silence_max;
}

Duration FailureDetector::silence_limit(const Path& path) const {
    // At a slower rate the same number of heartbeats must be missed. Who is asked meanwhile has as
    // long after the one that is missed, and as much again for a processor that is busy, up to half
    // of silence_min: a cut is to be known within a second.
    const Duration interval = path.promised == Duration{} ? beat_interval() : path.promised;
    const Duration scale = std::max(interval - heartbeat_interval(), Duration{});
    const Duration more =
        is_asked(path) ? std::min(2 * scale, silence_min() / 2) : Duration(4 * scale);
    const Duration least = silence_min() + more;
    const Duration most = std::max(silence_max(), least);
    const Duration adapted = 2 * path.mean_gap + kJitterFactor * path.health.jitter;
    return std::clamp(adapted, least, most);
}

// From here on a promise is one of the rare heartbeats among many; turns stay below.
Duration FailureDetector::rare_min() const {
    return silence_min() * 2 / 3;
}

bool FailureDetector::is_rare(const Path& path) const {
    return path.promised > rare_min();
}

bool FailureDetector::is_asked(const Path& path) const {
    return path.promised > heartbeat_interval();
}

Instant FailureDetector::missed_at(const Path& path) const {
    return *path.health.last_heard + path.promised * (is_rare(path) ? 6 : 5) / 4;
}

Instant FailureDetector::borne_until(const Path& path) const {
    if (path.doubted_until) return *path.doubted_until;
    if (!is_rare(path)) return *path.health.last_heard + silence_limit(path);
    return missed_at(path) + silence_min();
}

}  // namespace totem
