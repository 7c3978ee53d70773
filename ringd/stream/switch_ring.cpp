// The ring's side of the switch: configurations, the exchange at their start, ordered items.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/stream/switch.hpp"

namespace stream {

void Switch::install(Instant now, const totem::InstallConfiguration& configuration) {
    using Kind = totem::InstallConfiguration::Kind;
    if (configuration.kind == Kind::Transitional) {
        transitional_ = configuration;
        for (auto& [name, channel] : channels_) {
            const auto next = [&](Follower& follower) {
                return follower.next_transitional(configuration.ring, configuration.members);
            };
            if (Life* life = listener(channel)) {
                if (auto event = next(life->follower)) life->log.append(*std::move(event));
            }
            for (auto& [connection, observer] : channel.observers) {
                if (auto event = next(observer.follower)) {
                    tell_observer(connection, observer, *std::move(event));
                }
            }
        }
        return;
    }

    // At the very first start there is no transitional configuration: this node comes from nowhere.
    const std::vector<base::NodeId> together =
        transitional_ ? transitional_->members : std::vector{config_.self};
    transitional_.reset();
    const bool others_came = together != configuration.members;
    // All who were together have seen the same items, hence agree on whether it was complete.
    const bool was_broken = exchange_.has_value();
    if (was_broken) throw_back(exchange_->held);
    exchange_.reset();

    ring_ = configuration.ring;
    members_ = configuration.members;
    if (others_came || was_broken) {
        start_exchange();
        return;
    }
    sync_.reset();
    for (auto& [name, channel] : channels_) {
        std::erase_if(channel.stopped, [&](base::NodeId node) {
            return !std::ranges::binary_search(members_, node);
        });
        channel.membership.start_ring(members_);
        issue_view(channel);
        watch_retention(now, name, channel);
        move_on(name, channel);
    }
}

// Items that waited for an exchange that will never be complete are as if they had not been
// ordered; members that didn't see them agree with that. Each sender submits its own again.
void Switch::throw_back(const std::deque<totem::Deliver>& held) {
    for (const totem::Deliver& delivered : held) {
        if (delivered.sender != config_.self) continue;
        auto item = decode_item(delivered.payload);
        if (!item) continue;
        if (const auto* submit = std::get_if<protocol::Submit>(&*item)) {
            const auto channel = channels_.find(submit->channel);
            if (channel == channels_.end()) continue;
            for (Life& life : channel->second.lives) {
                if (life.incarnation != submit->incarnation) continue;
                life.submissions.thrown_back(submit->number, submit->urgent);
            }
        } else if (!std::holds_alternative<FlowItem>(*item)) {  // That is said anew anyway.
            control_.push_back(delivered.payload);
        }
    }
}

void Switch::start_exchange() {
    exchange_.emplace();
    exchange_->awaited.insert(members_.begin(), members_.end());
    SyncItem sync;
    sync.ring = *ring_;
    for (const auto& [name, channel] : channels_) {
        if (channel.lives.empty()) continue;
        // As it will be when all that we gave to the ring before is ordered.
        const Life& life = channel.lives.front();
        if (!life.attach_submitted || life.detach_submitted) continue;
        sync.attachments.push_back(
            {.channel = name,
             .incarnation = life.incarnation,
             .placed = channel.membership.placed(config_.self, life.incarnation)});
    }
    sync_ = encode_item(sync);
}

void Switch::on_sync(Instant now, base::NodeId sender, const SyncItem& sync) {
    // Of a ring that broke before it was ordered; the sender has said it again for this one.
    if (!exchange_ || sync.ring != *ring_ || exchange_->awaited.erase(sender) == 0) return;
    for (const Attachment& attachment : sync.attachments) {
        exchange_->attached[attachment.channel][sender] = {.incarnation = attachment.incarnation,
                                                           .placed = attachment.placed};
    }
    if (exchange_->awaited.empty()) finish_exchange(now);
}

void Switch::finish_exchange(Instant now) {
    Exchange done = *std::move(exchange_);
    exchange_.reset();
    for (auto& [name, attached] : done.attached) {
        channels_[name];  // Made here if nothing local is on it.
    }
    for (auto channel = channels_.begin(); channel != channels_.end();) {
        const auto attached = done.attached.find(channel->first);
        const bool is_used = attached != done.attached.end();
        channel->second.membership.start_ring(
            is_used ? std::move(attached->second) : std::map<base::NodeId, Membership::Member>{});
        issue_view(channel->second);
        // Those who came don't know who is stopped: who still is says it again.
        channel->second.stopped.clear();
        channel->second.stop_told = false;
        watch_retention(now, channel->first, channel->second);
        move_on(channel->first, channel->second);
        const bool is_idle =
            !is_used && channel->second.lives.empty() && channel->second.observers.empty();
        channel = is_idle ? channels_.erase(channel) : std::next(channel);
    }
    for (const totem::Deliver& delivered : done.held) {
        deliver(now, delivered);
    }
}

void Switch::deliver(Instant now, const totem::Deliver& delivered) {
    INVARIANT(ring_.has_value());
    auto item = decode_item(delivered.payload);
    if (!item) {
        ++counters_.malformed_items;
        return;
    }
    if (const auto* sync = std::get_if<SyncItem>(&*item)) {
        on_sync(now, delivered.sender, *sync);
    } else if (exchange_) {
        exchange_->held.push_back(delivered);
    } else {
        on_item(now, delivered, *item);
    }
}

void Switch::on_item(Instant now, const totem::Deliver& delivered, Item& item) {
    if (const auto* attach = std::get_if<AttachItem>(&item)) {
        on_change(delivered.sender, *attach);
    } else if (const auto* detach = std::get_if<DetachItem>(&item)) {
        on_change(delivered.sender, *detach);
    } else if (const auto* flow = std::get_if<FlowItem>(&item)) {
        on_flow(delivered.sender, *flow);
    } else {
        on_submit(now, delivered, std::get<protocol::Submit>(item));
    }
}

void Switch::on_change(base::NodeId sender, const AttachItem& item) {
    Channel& channel = channels_[item.channel];
    if (!channel.membership.attach(sender, item.incarnation)) return;
    issue_view(channel);
    move_on(item.channel, channel);
}

void Switch::on_change(base::NodeId sender, const DetachItem& item) {
    const auto found = channels_.find(item.channel);
    if (found == channels_.end()) return;
    Channel& channel = found->second;
    if (channel.membership.detach(sender, item.incarnation)) {
        channel.stopped.erase(sender);
        if (sender == config_.self) channel.stop_told = false;
        issue_view(channel);
    }
    move_on(item.channel, channel);
}

void Switch::on_flow(base::NodeId sender, const FlowItem& item) {
    const auto found = channels_.find(item.channel);
    if (found == channels_.end()) return;
    Channel& channel = found->second;
    if (!item.stopped) {
        channel.stopped.erase(sender);
    } else if (channel.membership.members().contains(sender)) {
        channel.stopped.insert(sender);
    }
    // Said before an exchange and ordered after it, when it was forgotten that it was said.
    if (sender == config_.self && item.stopped != channel.stop_told)
        tell_stop(item.channel, channel, channel.stop_told);
}

void Switch::on_submit(Instant now, const totem::Deliver& delivered, protocol::Submit& submit) {
    using Place = Membership::Place;
    const auto found = channels_.find(submit.channel);
    const Place place = found == channels_.end()
                            ? Place::NotAttached
                            : found->second.membership.place(delivered.sender, submit);
    switch (place) {
        case Place::Next:
            break;
        case Place::Duplicate:
            ++counters_.duplicates;
            return;
        case Place::Gap:
            ++counters_.gaps;
            break;
        case Place::NotAttached:
            ++counters_.not_attached;
            break;
    }
    if (found == channels_.end()) return;
    Channel& channel = found->second;
    if (delivered.sender == config_.self) {
        for (Life& life : channel.lives) {
            if (life.incarnation != submit.incarnation) continue;
            if (place == Place::Next) {
                life.submissions.placed(submit.number, submit.urgent);
            } else {
                life.submissions.thrown_back(submit.number, submit.urgent);
            }
        }
    }
    if (place != Place::Next) return;

    ++counters_.delivered;
    counters_.delivered_bytes += submit.payload.size();
    protocol::Batch batch{.ring = delivered.ring,
                          .seq = delivered.seq.value(),
                          .index = delivered.index,
                          .sender = delivered.sender,
                          .number = submit.number,
                          .payload = std::move(submit.payload)};
    for (auto& [connection, observer] : channel.observers) {
        if (observer.follows) tell_observer(connection, observer, batch);
    }
    if (Life* life = listener(channel)) {
        life->log.append(std::move(batch));
        watch_retention(now, submit.channel, channel);
    }
    move_on(submit.channel, channel);
}

void Switch::issue_view(Channel& channel) {
    if (Life* life = listener(channel)) {
        life->log.append(life->follower.next_view(*ring_, channel.membership.version(),
                                                  channel.membership.view(), members_));
        // What is ordered between the two configurations belongs to the old one, and to those who
        // stay together.
        if (transitional_) {
            auto event =
                life->follower.next_transitional(transitional_->ring, transitional_->members);
            if (event) life->log.append(*std::move(event));
        }
    }
    for (auto& [connection, observer] : channel.observers) {
        issue_view(channel, connection, observer);
    }
}

void Switch::issue_view(Channel& channel, ConnectionId connection, Observer& observer) {
    observer.follows = true;
    tell_observer(connection, observer,
                  observer.follower.next_view(*ring_, channel.membership.version(),
                                              channel.membership.view(), members_));
    if (transitional_) {
        auto event =
            observer.follower.next_transitional(transitional_->ring, transitional_->members);
        if (event) tell_observer(connection, observer, *std::move(event));
    }
}

void Switch::tell_observer(
    ConnectionId connection, Observer& observer,
    std::variant<protocol::Transitional, protocol::View, protocol::Batch> what) {
    base::Buffer body;
    if (auto* batch = std::get_if<protocol::Batch>(&what)) body = std::move(batch->payload);
    const protocol::Event event{.cursor = protocol::Cursor{++observer.cursor},
                                .what = std::move(what)};
    outputs_.push_back(SendFrame{.to = connection,
                                 .head = protocol::encode_header(protocol::RingFrame{event}),
                                 .body = std::move(body),
                                 .is_bounded = true});
}

}  // namespace stream
