#include "ringd/stream/switch.hpp"

#include <algorithm>

#include "common/base/archive_shape.hpp"
#include "common/base/invariant.hpp"

namespace stream {
namespace {

// Bytes that a channel submits before the next one has its turn.
constexpr std::int64_t kRoundBytes = std::int64_t{64} << 10u;

}  // namespace

void Switch::set_limits(const SwitchLimits& limits) {
    config_.retention_bytes_max = limits.retained_bytes_max;
    config_.retention_bytes_hard = limits.retained_bytes_hard;
    config_.grace = limits.grace;
}

Switch::Switch(const SwitchConfig& config) : config_(config) {
    INVARIANT(config.self != base::kNoNode);
    INVARIANT(config.retention_bytes_max <= config.retention_bytes_hard);
}

// ---------------------------------------------------------------- into the ring

void Switch::taken(const totem::Taken& taken) {
    INVARIANT(taken.number <= submitted_);
    taken_ = std::max(taken_, taken.number);
}

void Switch::take_submissions(std::size_t room, std::vector<totem::Submitted>& submissions) {
    if (!ring_) return;
    if (sync_) {
        if (!give_to_ring(*sync_, false, true, room, submissions)) return;
        sync_.reset();
    }
    while (!control_.empty()) {
        if (!give_to_ring(control_.front(), false, true, room, submissions)) return;
        control_.pop_front();
    }
    // What is ordered during the exchange only waits at every member.
    if (exchange_ || channels_.empty()) return;

    // Deficit round robin (Shreedhar, Varghese 1995): a channel with large items gets no more than
    // one with small ones. What a large item takes beyond its round is paid in later ones.
    std::size_t idle = 0;
    auto turn = channels_.lower_bound(next_channel_);
    while (idle < channels_.size()) {
        if (turn == channels_.end()) turn = channels_.begin();
        Channel& channel = turn->second;
        if (!waits(channel)) {
            channel.credit_bytes = 0;
            ++idle;
            ++turn;
            continue;
        }
        idle = 0;
        if (channel.credit_bytes <= 0) channel.credit_bytes += kRoundBytes;
        while (channel.credit_bytes > 0 && waits(channel)) {
            if (submit_next_of(channel, room, submissions)) continue;
            next_channel_ = turn->first;  // The ring has no more room: its turn goes on then.
            return;
        }
        ++turn;
    }
}

bool Switch::waits(const Channel& channel) {
    if (channel.lives.empty() || !channel.lives.front().attach_submitted) return false;
    const Submissions& submissions = channel.lives.front().submissions;
    if (submissions.next(true) != nullptr) return true;
    // An exchange of states goes on in a channel that is stopped: it is what a member waits for.
    return channel.stopped.empty() && submissions.next(false) != nullptr;
}

bool Switch::submit_next_of(Channel& channel, std::size_t& room,
                            std::vector<totem::Submitted>& submissions) {
    Submissions& waiting = channel.lives.front().submissions;
    const bool urgent = waiting.next(true) != nullptr;
    const Submissions::Waiting& next = *waiting.next(urgent);
    const auto bytes = static_cast<std::int64_t>(next.frame.size());
    if (!give_to_ring(next.frame, next.safe, urgent, room, submissions)) return false;
    waiting.given_to_ring(urgent);
    channel.credit_bytes -= bytes;
    return true;
}

bool Switch::give_to_ring(base::Buffer payload, bool safe, bool urgent, std::size_t& room,
                          std::vector<totem::Submitted>& submissions) {
    const bool fits = payload.size() <= room;
    const bool is_alone = taken_ == submitted_;  // An item may be larger than the room ever is.
    if (room == 0 || (!fits && !is_alone)) return false;
    room -= std::min(room, payload.size());
    submissions.push_back({.number = ++submitted_,
                           .guarantee = safe ? totem::Guarantee::Safe : totem::Guarantee::Agreed,
                           .urgent = urgent,
                           .payload = std::move(payload)});
    return true;
}

// ---------------------------------------------------------------- to the connections

void Switch::take_outputs(std::vector<Output>& outputs) {
    for (auto& [name, channel] : channels_) {
        if (channel.lives.empty()) continue;
        Life& life = channel.lives.back();
        if (!life.connection) continue;
        while (auto frame = life.log.take_next(config_.in_flight_bytes_max)) {
            outputs_.push_back(SendFrame{.to = *life.connection,
                                         .head = std::move(frame->head),
                                         .body = std::move(frame->body)});
        }
        const std::uint64_t taken = life.submissions.taken();
        const std::uint64_t window = window_of(channel, life);
        if (taken != life.taken_told || window != life.window_told) {
            life.taken_told = taken;
            life.window_told = window;
            send(*life.connection, protocol::Taken{.number = taken, .window_bytes = window});
        }
    }
    std::ranges::move(outputs_, std::back_inserter(outputs));
    outputs_.clear();
}

// ---------------------------------------------------------------- time

std::optional<Instant> Switch::next_deadline() const {
    std::optional<Instant> next;
    const auto consider = [&](const std::optional<Instant>& when) {
        if (when && (!next || *when < *next)) next = when;
    };
    for (const auto& [name, channel] : channels_) {
        for (const Life& life : channel.lives) {
            consider(life.grace_ends);
            consider(life.stall_ends);
        }
    }
    return next;
}

void Switch::deadline_passed(Instant now) {
    for (auto& [name, channel] : channels_) {
        for (Life& life : channel.lives) {
            if (life.grace_ends && *life.grace_ends <= now) {
                ++counters_.evicted;
                end(life, "away for too long");
            } else if (life.stall_ends && *life.stall_ends <= now) {
                ++counters_.evicted;
                end(life, "too slow: its events were not acknowledged in time");
            }
        }
        move_on(name, channel);
    }
}

// ---------------------------------------------------------------- beyond the process

void Switch::archive_to(base::ArchiveWriter& writer) const {
    INVARIANT(outputs_.empty());
    const_cast<Switch*>(this)->archive(writer);  // A writer changes nothing.
}

std::optional<Switch> Switch::restore(const SwitchConfig& config, base::ArchiveReader& reader) {
    Switch restored(config);
    restored.archive(reader);
    if (!reader.ok()) return std::nullopt;
    return restored;
}

std::uint64_t Switch::layout() {
    base::ArchiveShape shape;
    Switch(SwitchConfig{.self = base::NodeId{1}}).archive(shape);
    return shape.hash();
}

std::vector<ConnectionId> Switch::connections() const {
    std::vector<ConnectionId> all;
    for (const auto& [connection, what] : connections_)
        all.push_back(connection);
    return all;
}

// ---------------------------------------------------------------- status

Status Switch::status() const {
    Status status;
    status.ring = ring_;
    status.members = members_;
    if (exchange_) {
        status.awaited.assign(exchange_->awaited.begin(), exchange_->awaited.end());
        status.held_items = exchange_->held.size();
    }
    for (const auto& [name, channel] : channels_) {
        ChannelStatus& shown = status.channels.emplace_back();
        shown.name = name;
        shown.version = channel.membership.version();
        shown.members = channel.membership.view();
        shown.observers = channel.observers.size();
        for (const Life& life : channel.lives) {
            shown.services.push_back({.incarnation = life.incarnation,
                                      .connected = life.connection.has_value(),
                                      .ending = life.ending,
                                      .last = life.log.last(),
                                      .applied = life.log.acknowledged(),
                                      .retained_bytes = life.log.retained_bytes(),
                                      .in_flight_bytes = life.log.in_flight_bytes(),
                                      .slow = life.stall_ends.has_value(),
                                      .submitted = life.submissions.accepted(),
                                      .taken = life.submissions.taken(),
                                      .outstanding_bytes = life.submissions.outstanding_bytes(),
                                      .window_bytes = window_of(channel, life)});
        }
    }
    status.counters = counters_;
    return status;
}

}  // namespace stream
