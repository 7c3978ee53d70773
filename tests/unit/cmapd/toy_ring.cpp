#include "tests/unit/cmapd/toy_ring.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace cmap::test {

ToyRing::ToyRing(std::size_t nodes, std::uint64_t seed, bool counts_votes, OnAnswer answered)
    : random(seed), counts_votes_(counts_votes), answered_(std::move(answered)) {
    std::set<base::NodeId> all;
    for (std::uint32_t id = 1; id <= nodes; ++id) {
        all.insert(base::NodeId{id});
        nodes_[base::NodeId{id}];
    }
    for (const base::NodeId node : all) {
        start_replica(node, false);
    }
    form(all);
}

std::set<base::NodeId> ToyRing::all_up() const {
    std::set<base::NodeId> up;
    for (const auto& [id, node] : nodes_) {
        if (node.is_up) up.insert(id);
    }
    return up;
}

ToyRing::Ring& ToyRing::ring_of(base::NodeId node) {
    const auto found =
        std::ranges::find_if(rings_, [&](const Ring& ring) { return ring.members.contains(node); });
    INVARIANT(found != rings_.end());
    return *found;
}

// ---------------------------------------------------------------- configurations

// Those who come from one ring exchange what they have of it; what is not there is nowhere.
void ToyRing::leave_ring(const Ring& old, const std::set<base::NodeId>& together,
                         base::RingId next) {
    std::size_t received = 0;
    std::size_t delivered = 0;
    std::size_t stable = old.log.size();
    for (const base::NodeId node : old.founders) {
        stable = std::min(stable, old.received.at(node));
    }
    for (const base::NodeId node : together) {
        received = std::max(received, old.received.at(node));
        delivered = std::max(delivered, old.delivered.at(node));
    }
    // Of what is stable they may know it or not; but all the same.
    const std::size_t regular = delivered + random.next() % (stable - delivered + 1);
    const protocol::Transitional transitional{.next = next,
                                              .members = {together.begin(), together.end()}};
    for (const base::NodeId node : together) {
        for (std::size_t at = old.delivered.at(node); at < regular; ++at) {
            deliver_message(old, at, node);
        }
        give(node, transitional);
        for (std::size_t at = regular; at < received; ++at) {
            deliver_message(old, at, node);
        }
    }
}

void ToyRing::form(const std::set<base::NodeId>& members) {
    if (members.empty()) return;
    Ring ring;
    last_ring_ += 1 + random.next() % 3;
    ring.id = {.seq = last_ring_, .representative = *members.begin()};
    ring.founders = ring.members = members;
    protocol::View view{.ring = ring.id,
                        .version = 0,
                        .members = {},
                        .left = {},
                        .joined = {},
                        .ring_members = {members.begin(), members.end()}};
    std::map<base::NodeId, protocol::Incarnation> present;
    for (const base::NodeId node : members) {
        view.members.push_back({.node = node, .incarnation = nodes_.at(node).incarnation});
        present.emplace(node, nodes_.at(node).incarnation);
        ring.received[node] = ring.delivered[node] = 0;
    }
    for (const Ring& old : rings_) {
        std::set<base::NodeId> together;
        std::ranges::set_intersection(old.members, members,
                                      std::inserter(together, together.begin()));
        if (!together.empty()) leave_ring(old, together, ring.id);
    }
    for (const base::NodeId node : members) {
        Node& one = nodes_.at(node);
        protocol::View own = view;
        for (const auto& [other, incarnation] : present) {
            const auto before = one.view.find(other);
            if (before == one.view.end() || before->second != incarnation)
                own.joined.push_back(other);
        }
        for (const auto& [other, incarnation] : one.view) {
            if (!present.contains(other)) own.left.push_back(other);
        }
        one.view = present;
        give(node, own);
        ring.unsure.insert(node);
    }
    // The members leave their old rings.
    for (Ring& old : rings_) {
        for (const base::NodeId node : members) {
            old.members.erase(node);
        }
    }
    std::erase_if(rings_, [](const Ring& old) { return old.members.empty(); });
    rings_.push_back(std::move(ring));
}

void ToyRing::split(const std::vector<std::set<base::NodeId>>& parts) {
    // All new rings come from the same old ones: who goes first must not look to the others as if
    // it had never been there.
    const std::vector<Ring> before = rings_;
    const std::size_t old_count = rings_.size();
    for (const auto& part : parts) {
        if (part.empty()) continue;
        std::vector<Ring> formed(rings_.begin() + static_cast<std::ptrdiff_t>(old_count),
                                 rings_.end());
        rings_ = before;
        form(part);
        formed.push_back(rings_.back());
        rings_ = before;
        rings_.insert(rings_.end(), formed.begin(), formed.end());
    }
    rings_.erase(rings_.begin(), rings_.begin() + static_cast<std::ptrdiff_t>(old_count));
}

void ToyRing::split_at_random() {
    std::vector<std::set<base::NodeId>> parts(1 + random.next() % 3);
    for (const base::NodeId node : all_up()) {
        parts[random.next() % parts.size()].insert(node);
    }
    std::erase_if(parts, [](const auto& part) { return part.empty(); });
    split(parts);
}

void ToyRing::leave_some_behind() {
    std::set<base::NodeId> first = all_up();
    std::erase_if(first, [&](base::NodeId) { return random.next() % 3 == 0; });
    form(first);
}

void ToyRing::heal() {
    split({all_up()});
}

void ToyRing::kill(base::NodeId id) {
    Node& node = nodes_.at(id);
    node.is_up = false;
    node.urgent.clear();
    node.ordinary.clear();
    node.retained.clear();
    node.view.clear();
    node.replica.reset();
    // The others form a ring without it.
    std::set<base::NodeId> rest = ring_of(id).members;
    rest.erase(id);
    std::vector<std::set<base::NodeId>> parts;
    for (const Ring& ring : rings_) {
        if (!ring.members.contains(id)) parts.push_back(ring.members);
    }
    if (!rest.empty()) parts.push_back(rest);
    split(parts);
}

void ToyRing::revive(base::NodeId id) {
    Node& node = nodes_.at(id);
    node.is_up = true;
    node.cursor = 0;
    start_replica(id, false);
    form({id});
}

// ---------------------------------------------------------------- the daemon

void ToyRing::start_replica(base::NodeId id, bool resumed) {
    Node& node = nodes_.at(id);
    node.replica = std::make_unique<Replica>(node.stored, node.stored_keys, nodes_.size());
    if (!resumed) node.incarnation = protocol::Incarnation{++last_incarnation_};
    node.replica->attached(id, resumed, node.incarnation);
}

void ToyRing::restart(base::NodeId id) {
    Node& node = nodes_.at(id);
    // Without a stored cursor there is nothing to go on from; ringd would say so. Rare: skipped.
    const bool can_resume = node.stored && node.replica->incarnation() == node.incarnation &&
                            decode_replica(*node.stored)->incarnation == node.incarnation;
    if (!can_resume) return;
    start_replica(id, true);
    const auto again = std::exchange(node.retained, {});
    for (const protocol::Event& event : again) {
        if (event.cursor <= node.replica->applied()) continue;
        node.retained.push_back(event);
        Replica::Out out;
        at_next_instant(node).happened(event, out);
        take(id, std::move(out));
    }
    ring_of(id).unsure.insert(id);
    if (!counts_votes_) tell_votes(id, ring_of(id));
}

void ToyRing::write(base::NodeId node, SessionId session, std::uint64_t number,
                    const protocol::cmap::Request& request) {
    Replica::Out out;
    at_next_instant(nodes_.at(node)).write(session, number, request, out);
    take(node, std::move(out));
}

void ToyRing::read(base::NodeId node, SessionId session, std::uint64_t number,
                   const std::string& key) {
    Replica::Out out;
    at_next_instant(nodes_.at(node)).read(session, number, protocol::cmap::Get{.key = key}, out);
    take(node, std::move(out));
}

void ToyRing::pass_time(base::Instant now) {
    now_ = now;
    for (auto& [id, node] : nodes_) {
        if (node.is_up) node.replica->pass_time(now);
    }
}

Replica& ToyRing::at_next_instant(Node& node) {
    now_ += std::chrono::nanoseconds{1};
    node.replica->pass_time(now_);
    return *node.replica;
}

void ToyRing::give(base::NodeId id, decltype(protocol::Event::what) what) {
    Node& node = nodes_.at(id);
    const protocol::Event event{.cursor = protocol::Cursor{++node.cursor}, .what = std::move(what)};
    node.retained.push_back(event);
    Replica::Out out;
    at_next_instant(node).happened(event, out);
    take(id, std::move(out));
}

// As the core and the driver: stored first, then answered, then acknowledged to ringd.
void ToyRing::take(base::NodeId id, Replica::Out out) {
    Node& node = nodes_.at(id);
    for (Replica::Out::Submit& submit : out.submits) {
        (submit.urgent ? node.urgent : node.ordinary).push_back(std::move(submit.payload));
    }
    if (out.lost) ++losses_;
    for (const Replica::Apply& apply : out.applies) {
        for (const protocol::cmap::Write& write : apply.writes) {
            if (write.value) {
                node.stored_keys.insert_or_assign(write.key, *write.value);
            } else {
                node.stored_keys.erase(write.key);
            }
        }
    }
    auto state = node.replica->stored();
    const bool is_stored = state.has_value();
    if (state) {
        node.stored = std::move(state);
        std::erase_if(node.retained, [&](const protocol::Event& event) {
            return event.cursor <= node.replica->applied();
        });
    }
    for (const Replica::Apply& apply : out.applies) {
        for (const Replica::Answered& answer : apply.answers) {
            answered_(id, answer);
        }
    }
    // Once more, for what follows from having stored it.
    Replica::Out more;
    if (is_stored) node.replica->was_stored(node.replica->total(), more);
    if (!more.submits.empty() || !more.applies.empty()) take(id, std::move(more));
}

// ---------------------------------------------------------------- what happens in a ring

void ToyRing::deliver_message(const Ring& ring, std::size_t at, base::NodeId node) {
    const Message& message = ring.log.at(at);
    give(node, protocol::Batch{.ring = ring.id,
                               .seq = at + 1,
                               .index = 0,
                               .sender = message.sender,
                               .number = 0,
                               .payload = message.payload});
}

bool ToyRing::order(Ring& ring, base::NodeId id) {
    Node& node = nodes_.at(id);
    std::deque<base::Buffer>& queue = node.urgent.empty() ? node.ordinary : node.urgent;
    // Whoever sends has all before it.
    if (queue.empty() || ring.received.at(id) != ring.log.size()) return false;
    ring.log.push_back({.sender = id, .payload = queue.front()});
    queue.pop_front();
    ring.received[id] = ring.log.size();
    return true;
}

bool ToyRing::receive(Ring& ring, base::NodeId id) {
    if (ring.received.at(id) == ring.log.size()) return false;
    ++ring.received[id];
    return true;
}

// Safe: when all have it.
bool ToyRing::deliver(Ring& ring, base::NodeId id) {
    std::size_t stable = ring.log.size();
    for (const base::NodeId node : ring.founders) {
        stable = std::min(stable, ring.received.at(node));
    }
    const std::size_t at = ring.delivered.at(id);
    if (at >= stable) return false;
    ++ring.delivered[id];
    deliver_message(ring, at, id);
    return true;
}

void ToyRing::tell_votes(base::NodeId id, const Ring& ring) {
    Replica::Out out;
    if (counts_votes_) {
        nodes_.at(id).replica->quorum(ring.id, 2 * ring.founders.size() > nodes_.size(),
                                      std::nullopt, out);
    } else {
        nodes_.at(id).replica->uncounted(out);
    }
    take(id, std::move(out));
}

void ToyRing::lease(base::NodeId id, base::Instant until) {
    Replica::Out out;
    nodes_.at(id).replica->quorum(ring_of(id).id, true, until, out);
    take(id, std::move(out));
}

bool ToyRing::tell_quorum(Ring& ring) {
    if (ring.unsure.empty()) return false;
    auto at = ring.unsure.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random.next() % ring.unsure.size()));
    const base::NodeId node = *at;
    ring.unsure.erase(at);
    tell_votes(node, ring);
    return true;
}

bool ToyRing::step() {
    if (rings_.empty()) return false;  // No node is up.
    Ring& ring = rings_.at(random.next() % rings_.size());
    if (ring.members.empty()) return false;
    auto at = ring.members.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random.next() % ring.members.size()));
    switch (random.next() % 8) {
        case 0:
            return tell_quorum(ring);
        case 1:
        case 2:
            return order(ring, *at);
        case 3:
        case 4:
            return deliver(ring, *at);
        default:
            return receive(ring, *at);
    }
}

void ToyRing::run(int steps) {
    for (int i = 0; i < steps; ++i) {
        (void)step();  // What it chose may not be possible now.
    }
}

void ToyRing::settle() {
    for (bool moved = true; moved;) {
        moved = false;
        for (Ring& ring : rings_) {
            while (tell_quorum(ring))
                moved = true;
            for (const base::NodeId node : ring.members) {
                while (receive(ring, node))
                    moved = true;
                while (order(ring, node))
                    moved = true;
                while (deliver(ring, node))
                    moved = true;
            }
        }
    }
}

}  // namespace cmap::test
