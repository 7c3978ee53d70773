// The services' side of the switch: attaching, resuming, submitting, acknowledging, ending.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/stream/switch.hpp"
#include "ringd/totem/ring_config.hpp"

namespace stream {

using protocol::Attach;
using protocol::Attached;

void Switch::frame(Instant now, ConnectionId connection, const base::Buffer& frame) {
    auto decoded = protocol::decode_service_frame(frame);
    if (!decoded) {
        ++counters_.malformed_frames;
        closed(now, connection);
        refuse(connection, false, "malformed frame");
        return;
    }
    const auto known = connections_.find(connection);
    if (const auto* attach = std::get_if<Attach>(&*decoded)) {
        if (known == connections_.end()) {
            this->attach(now, connection, *attach);
        } else {
            closed(now, connection);
            refuse(connection, false, "already attached");
        }
        return;
    }
    Life* life = life_of(connection);
    if (life == nullptr) {
        closed(now, connection);
        refuse(connection, false,
               known == connections_.end() ? "attach first" : "an observer only reads");
        return;
    }
    const std::string channel = known->second.channel;
    if (auto* submit = std::get_if<protocol::Submit>(&*decoded)) {
        on_frame(now, connection, *life, *submit, frame);
    } else if (const auto* ack = std::get_if<protocol::Ack>(&*decoded)) {
        on_frame(now, connection, *life, *ack);
    } else if (const auto* received = std::get_if<protocol::Received>(&*decoded)) {
        on_frame(now, connection, *life, *received);
    } else if (std::holds_alternative<protocol::GivenBack>(*decoded)) {
        closed(now, connection);
        refuse(connection, false, "gave back what it did not get");
    } else {
        end(*life, "");
    }
    const auto found = channels_.find(channel);
    if (found != channels_.end()) move_on(channel, found->second);
}

// ---------------------------------------------------------------- attaching

void Switch::attach(Instant now, ConnectionId connection, const Attach& attach) {
    const auto is_used = [](const auto& channel) {
        return !channel.second.lives.empty() || !channel.second.observers.empty();
    };
    const bool is_new = !channels_.contains(attach.channel);
    if (is_new && std::ranges::count_if(channels_, is_used) >= std::ptrdiff_t{kChannelsMax}) {
        refuse(connection, false, "too many channels");
        return;
    }
    if (attach.role == Attach::Role::Service) {
        attach_service(now, connection, attach);
        forget_if_unused(attach.channel);
        return;
    }
    connections_[connection] = {.channel = attach.channel, .role = attach.role};
    Channel& channel = channels_[attach.channel];
    Observer& observer = channel.observers[connection];
    send(connection, Attached{.self = config_.self,
                              .resumed = false,
                              .taken = 0,
                              .window_bytes = 0,
                              .event_bytes = 0,
                              .last_ordinary = 0,
                              .last_urgent = 0});
    if (ring_ && !exchange_) issue_view(channel, connection, observer);
}

void Switch::attach_service(Instant now, ConnectionId connection, const Attach& attach) {
    Channel& channel = channels_[attach.channel];
    for (Life& life : channel.lives) {
        if (life.incarnation != attach.incarnation) continue;
        if (life.ending) {
            refuse(connection, true, "this attachment has ended");
        } else {
            resume(now, connection, life, attach);
        }
        return;
    }
    if (attach.applied != protocol::Cursor{} || attach.submitted != 0) {
        refuse(connection, true, "this attachment is not known here");
        return;
    }
    if (!channel.lives.empty() && !channel.lives.back().ending) {
        Life& current = channel.lives.back();
        if (current.connection) {
            refuse(connection, false, "another service is attached to this channel");
            return;
        }
        end(current, "");  // A new process without the state of the last one.
    }
    Life& life = channel.lives.emplace_back(attach.incarnation);
    connections_[connection] = {.channel = attach.channel, .role = attach.role};
    connect(connection, life, false);
    move_on(attach.channel, channel);
}

void Switch::resume(Instant now, ConnectionId connection, Life& life, const Attach& attach) {
    // kSubmittedUnknown is the greatest number: Attached tells such a service what it submitted.
    const bool knows_less = attach.submitted < life.submissions.accepted();
    if (knows_less || !life.log.resume(attach.applied)) {
        end(life, "came back as another");
        refuse(connection, true, "its state is older than what it acknowledged or submitted");
        return;
    }
    if (life.connection) {  // The process came back before its death was seen.
        connections_.erase(*life.connection);
        outputs_.push_back(CloseConnection{.connection = *life.connection});
    }
    connections_[connection] = {.channel = attach.channel, .role = attach.role};
    connect(connection, life, true);
    watch_retention(now, attach.channel, channels_.at(attach.channel));
}

void Switch::connect(ConnectionId connection, Life& life, bool resumed) {
    life.connection = connection;
    life.grace_ends.reset();
    life.taken_told = life.submissions.taken();
    life.window_told = window_of(channels_.at(connections_.at(connection).channel), life);
    send(connection, Attached{.self = config_.self,
                              .resumed = resumed,
                              .taken = life.taken_told,
                              .window_bytes = life.window_told,
                              .event_bytes = config_.in_flight_bytes_max,
                              .last_ordinary = life.submissions.last(false),
                              .last_urgent = life.submissions.last(true)});
}

// ---------------------------------------------------------------- while attached

void Switch::on_frame(Instant now, ConnectionId from, Life& life, protocol::Submit& submit,
                      const base::Buffer& frame) {
    const std::string& channel = connections_.at(from).channel;
    const bool is_own = submit.incarnation == life.incarnation && submit.channel == channel;
    const std::size_t before = life.submissions.outstanding_bytes(submit.urgent);
    const std::size_t bound = submit.urgent ? protocol::kUrgentBytesMax : config_.window_bytes;
    const bool fits = before == 0 || before + submit.payload.size() <= bound;
    const bool is_known = submit.number <= life.submissions.accepted();
    if (!is_own || frame.size() > totem::kItemBytesMax || (!fits && !is_known) ||
        life.submissions.accept(submit, frame) == Submissions::Accepted::Broken) {
        closed(now, from);
        refuse(from, false, "submission of another service, out of order or beyond the window");
    }
}

void Switch::on_frame(Instant now, ConnectionId from, Life& life, const protocol::Ack& ack) {
    if (!life.log.acknowledge(ack.applied)) {
        closed(now, from);
        refuse(from, false, "acknowledged an event that was not sent");
        return;
    }
    const std::string& name = connections_.at(from).channel;
    watch_retention(now, name, channels_.at(name));
}

void Switch::on_frame(Instant now, ConnectionId from, Life& life,
                      const protocol::Received& received) {
    if (!life.log.receive(received.event)) {
        closed(now, from);
        refuse(from, false, "received an event that was not sent");
        return;
    }
    const std::string& name = connections_.at(from).channel;
    watch_retention(now, name, channels_.at(name));
}

// Long before our service has to be given up, all members stop to send on its channel. They do for
// `stall_max` only: a service that is stuck must not stop the others for ever.
void Switch::watch_retention(Instant now, const std::string& name, Channel& channel) {
    if (channel.lives.empty() || channel.lives.front().ending) return;
    Life& life = channel.lives.front();
    const std::size_t retained = life.log.retained_bytes();
    if (retained > config_.retention_bytes_hard ||
        (!life.connection && retained > config_.retention_bytes_max)) {
        ++counters_.evicted;
        end(life, "too slow: too many events wait to be acknowledged");
        return;
    }
    const std::size_t waiting = life.log.waiting_bytes();
    const bool must_stop =
        retained > config_.retention_bytes_max / 4 || waiting > config_.waiting_bytes_max;
    const bool may_go =
        retained <= config_.retention_bytes_max / 16 && waiting <= config_.waiting_bytes_max / 2;
    if (channel.stop_told ? may_go : must_stop) tell_stop(name, channel, must_stop);
    if (!channel.stop_told) {
        life.stall_ends.reset();
    } else if (!life.stall_ends) {
        life.stall_ends = now + config_.stall_max;
    }
}

void Switch::tell_stop(const std::string& name, Channel& channel, bool stopped) {
    channel.stop_told = stopped;
    control_.push_back(encode_item(FlowItem{.channel = name, .stopped = stopped}));
}

std::uint64_t Switch::window_of(const Channel& channel, const Life& life) const {
    return life.stall_ends || !channel.stopped.empty() ? 0 : config_.window_bytes;
}

// ---------------------------------------------------------------- ending

void Switch::closed(Instant now, ConnectionId connection) {
    const auto known = connections_.find(connection);
    if (known == connections_.end()) return;
    Channel& channel = channels_.at(known->second.channel);
    channel.observers.erase(connection);
    Life* life = life_of(connection);
    if (life != nullptr) {
        life->connection.reset();
        life->grace_ends = now + config_.grace;
        watch_retention(now, known->second.channel, channel);
        move_on(known->second.channel, channel);
    }
    forget_if_unused(known->second.channel);
    connections_.erase(connection);
}

void Switch::refuse(ConnectionId connection, bool afresh, std::string reason) {
    ++counters_.refused;
    send(connection, protocol::Refused{.afresh = afresh, .reason = std::move(reason)});
    outputs_.push_back(CloseConnection{.connection = connection});
}

// The service of this life is heard no more; what it submitted is still ordered.
void Switch::end(Life& life, const std::string& reason) {
    life.ending = true;
    life.grace_ends.reset();
    life.stall_ends.reset();
    life.log.clear();
    if (!life.connection) return;
    if (!reason.empty()) {
        refuse(*life.connection, true, reason);
    } else {
        outputs_.push_back(CloseConnection{.connection = *life.connection});
    }
    connections_.erase(*life.connection);
    life.connection.reset();
}

// Says Attach and Detach of the channel's lives when they are due. A life is over when all members
// know that it is.
void Switch::move_on(const std::string& name, Channel& channel) {
    while (!channel.lives.empty()) {
        Life& life = channel.lives.front();
        // It stops nobody any more, and what it had submitted waits for that itself.
        if (life.ending && channel.stop_told) tell_stop(name, channel, false);
        if (life.ending && life.submissions.empty()) {
            if (!life.attach_submitted) {
                channel.lives.pop_front();
                continue;
            }
            if (!life.detach_submitted) {
                life.detach_submitted = true;
                control_.push_back(
                    encode_item(DetachItem{.channel = name, .incarnation = life.incarnation}));
                return;
            }
            if (exchange_ || channel.membership.is_attached(config_.self, life.incarnation)) return;
            channel.lives.pop_front();
            continue;
        }
        if (!life.attach_submitted) {
            life.attach_submitted = true;
            control_.push_back(
                encode_item(AttachItem{.channel = name, .incarnation = life.incarnation}));
        }
        return;
    }
}

// ---------------------------------------------------------------- looking up

Switch::Life* Switch::life_of(ConnectionId connection) {
    const auto known = connections_.find(connection);
    if (known == connections_.end()) return nullptr;
    for (Life& life : channels_.at(known->second.channel).lives) {
        if (life.connection == connection) return &life;
    }
    return nullptr;
}

// The service that gets the channel's events, or null.
Switch::Life* Switch::listener(Channel& channel) const {
    if (channel.lives.empty()) return nullptr;
    Life& life = channel.lives.front();
    const bool is_on =
        !life.ending && channel.membership.is_attached(config_.self, life.incarnation);
    return is_on ? &life : nullptr;
}

// A name that was only asked for. One that had members in this ring stays: its version counts.
void Switch::forget_if_unused(const std::string& name) {
    const auto channel = channels_.find(name);
    if (channel == channels_.end()) return;
    const bool is_used = !channel->second.lives.empty() || !channel->second.observers.empty() ||
                         !channel->second.membership.members().empty() ||
                         channel->second.membership.version() > 0;
    if (!is_used) channels_.erase(channel);
}

void Switch::send(ConnectionId to, const protocol::RingFrame& frame) {
    outputs_.push_back(SendFrame{.to = to, .head = protocol::encode_header(frame), .body = {}});
}

}  // namespace stream
