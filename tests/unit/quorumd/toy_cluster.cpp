#include "tests/unit/quorumd/toy_cluster.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "common/base/invariant.hpp"

namespace quorum_test {

using std::chrono::milliseconds;

ToyCluster::ToyCluster(const ToyOptions& options, std::uint64_t seed)
    : options_(options), random_(seed) {
    for (std::uint32_t id = 1; id <= options.votes.size(); ++id) {
        nodes_[NodeId{id}].clock_offset = milliseconds(random_.below(100'000));
    }
    for (auto& [id, node] : nodes_) {
        power_on(id.value());
    }
}

std::vector<std::uint32_t> ToyCluster::ids() const {
    std::vector<std::uint32_t> ids;
    for (const auto& [id, node] : nodes_) {
        ids.push_back(id.value());
    }
    return ids;
}

bool ToyCluster::is_up(std::uint32_t node) const {
    return nodes_.at(NodeId{node}).is_up;
}

bool ToyCluster::quorumd_runs(std::uint32_t id) const {
    const Node& node = nodes_.at(NodeId{id});
    return node.is_up && node.quorumd_paused_until <= now_;
}

bool ToyCluster::is_quorate(std::uint32_t id) const {
    const Node& node = nodes_.at(NodeId{id});
    return node.is_up && node.core->is_quorate(clock_of(node));
}

quorum::Status ToyCluster::status(std::uint32_t id) const {
    const Node& node = nodes_.at(NodeId{id});
    return node.core->status(clock_of(node));
}

const std::vector<quorum::Action>& ToyCluster::told(std::uint32_t id) const {
    return nodes_.at(NodeId{id}).told;
}

void ToyCluster::fault(const std::string& text) {
    if (std::getenv("HALO_QUORUM_TRACE") != nullptr) trace();
    const auto since = std::chrono::floor<milliseconds>(now_.time_since_epoch()).count();
    faults.push_back("at " + std::to_string(since) + " ms: " + text);
}

void ToyCluster::trace() const {
    for (const auto& [id, node] : nodes_) {
        if (!node.is_up) {
            std::printf("  node %u: off\n", id.value());
            continue;
        }
        const quorum::Status status = node.core->status(clock_of(node));
        const auto ms = [](base::Duration time) {
            return static_cast<long>(std::chrono::floor<milliseconds>(time).count());
        };
        std::printf("  node %u: ring %lu view %lu %s quorate %d claims %d votes %u/%u of %u",
                    id.value(), node.ring ? node.ring->id.seq : 0, status.view.ring.seq,
                    status.is_exchanging ? "exchanging" : "decided", status.is_quorate,
                    status.lease_until.has_value(), status.standing.total_votes,
                    status.standing.threshold, status.standing.expected_votes);
        if (status.lease_until) std::printf(" lease %ld", ms(*status.lease_until - clock_of(node)));
        if (status.grant_at) std::printf(" grant %ld", ms(*status.grant_at - clock_of(node)));
        std::printf(" members");
        for (const NodeId member : status.members) {
            std::printf(" %u", member.value());
        }
        std::printf(" last quorate %lu:", status.standing.last_quorate_seq);
        for (const auto& [member, votes] : status.standing.last_quorate) {
            std::printf(" %u", member.value());
        }
        std::printf("\n");
    }
}

// ---------------------------------------------------------------- faults

void ToyCluster::partition(const std::vector<unsigned>& sides) {
    for (auto& [id, node] : nodes_) {
        node.side = sides.at(id.value() - 1);
    }
}

void ToyCluster::heal() {
    partition(std::vector<unsigned>(nodes_.size(), 0));
}

void ToyCluster::pause_ringd(std::uint32_t id, base::Duration time) {
    Node& node = nodes_.at(NodeId{id});
    node.ringd_paused_until = std::max(node.ringd_paused_until, now_ + time);
}

void ToyCluster::pause_quorumd(std::uint32_t id, base::Duration time) {
    Node& node = nodes_.at(NodeId{id});
    node.quorumd_paused_until = std::max(node.quorumd_paused_until, now_ + time);
}

void ToyCluster::power_off(std::uint32_t id) {
    Node& node = nodes_.at(NodeId{id});
    node.is_up = false;
    node.core.reset();
    node.snapshot = {};
    node.ring.reset();
    node.events.clear();
    node.submissions.clear();
    node.was_quorate = false;
}

void ToyCluster::power_on(std::uint32_t id) {
    Node& node = nodes_.at(NodeId{id});
    if (node.is_up) return;
    node.is_up = true;
    node.has_said_it_leaves = false;
    node.ringd_paused_until = node.quorumd_paused_until = {};
    node.clock_offset = milliseconds(random_.below(100'000));
    quorum::Config config = options_.config;
    config.votes = options_.votes.at(id - 1);
    node.core = std::make_unique<quorum::Core>(config, next_id_++, node.durable);
    attach_afresh(NodeId{id}, node);
}

void ToyCluster::attach_afresh(NodeId id, Node& node) {
    node.incarnation = protocol::Incarnation{next_id_++};
    node.ring.reset();
    node.events.clear();
    node.taken = 0;
    node.submissions.clear();
    step(id, node,
         quorum::RingAttached{.self = id, .resumed = false, .incarnation = node.incarnation});
}

void ToyCluster::restart_quorumd(std::uint32_t id) {
    Node& node = nodes_.at(NodeId{id});
    if (!node.is_up) return;
    quorum::Config config = options_.config;
    config.votes = options_.votes.at(id - 1);
    if (!node.snapshot.empty()) {
        auto restored = quorum::Core::restore(config, node.snapshot, next_id_++);
        INVARIANT(restored.has_value());
        node.core = std::make_unique<quorum::Core>(std::move(*restored));
    } else {
        node.core = std::make_unique<quorum::Core>(config, next_id_++, node.durable);
    }
    if (!node.snapshot.empty() && node.core->incarnation() == node.incarnation) {
        node.taken = node.core->applied().value();
        step(NodeId{id}, node,
             quorum::RingAttached{
                 .self = NodeId{id}, .resumed = true, .incarnation = node.incarnation});
        return;
    }
    // As when ringd has ended the attachment: out of the view, and in again as another.
    restart_ringd(id);
}

void ToyCluster::restart_ringd(std::uint32_t id) {
    Node& node = nodes_.at(NodeId{id});
    if (!node.is_up) return;
    if (node.ring) node.ring->is_broken = true;
    node.snapshot = {};
    attach_afresh(NodeId{id}, node);
}

void ToyCluster::leave(std::uint32_t id) {
    Node& node = nodes_.at(NodeId{id});
    if (!node.is_up) return;
    node.has_said_it_leaves = true;
    step(NodeId{id}, node, quorum::Leave{});
}

void ToyCluster::give(std::uint32_t id, const quorum::Event& event) {
    step(NodeId{id}, nodes_.at(NodeId{id}), event);
}

// ---------------------------------------------------------------- the ring

bool ToyCluster::ringd_runs(const Node& node) const {
    return node.is_up && node.ringd_paused_until <= now_;
}

bool ToyCluster::is_whole(const Ring& ring) const {
    const unsigned side = nodes_.at(ring.members.front()).side;
    return !ring.is_broken && std::ranges::all_of(ring.members, [&](NodeId id) {
        const Node& node = nodes_.at(id);
        return ringd_runs(node) && node.side == side && node.ring.get() == &ring;
    });
}

void ToyCluster::push(Node& node,
                      std::variant<protocol::Transitional, protocol::View, protocol::Batch> what) {
    node.events.push_back(
        {.cursor = protocol::Cursor{node.events.size() + 1}, .what = std::move(what)});
}

protocol::View ToyCluster::view_of(const Ring& ring) const {
    protocol::View view;
    view.ring = ring.id;
    view.version = ring.version;
    for (const NodeId id : ring.members) {
        view.members.push_back({.node = id, .incarnation = nodes_.at(id).incarnation});
        view.ring_members.push_back(id);
    }
    return view;
}

// Nodes whose ringd runs and that reach each other find together: at once when they have no ring,
// when theirs has broken for longer than its patience, and some time after a heal.
void ToyCluster::watch_rings() {
    std::map<unsigned, std::vector<NodeId>> sides;
    for (auto& [id, node] : nodes_) {
        if (ringd_runs(node)) sides[node.side].push_back(id);
    }
    for (auto& [side, members] : sides) {
        bool is_due = false;
        for (const NodeId id : members) {
            const Node& node = nodes_.at(id);
            if (!node.ring) {
                is_due = is_due || random_.below(10) == 0;
                continue;
            }
            Ring& ring = *node.ring;
            if (ring.members == members && is_whole(ring)) {
                ring.last_whole = now_;
                ring.is_whole = true;
                continue;
            }
            if (is_whole(ring)) {  // Others are near.
                ring.last_whole = now_;
                is_due = is_due || random_.below(50) == 0;
                continue;
            }
            if (now_ - ring.last_whole > ring.patience) is_due = true;
        }
        if (is_due) form_ring(members);
    }
}

void ToyCluster::form_ring(const std::vector<NodeId>& members) {
    auto ring = std::make_shared<Ring>();
    ring->id = {.seq = next_ring_++, .representative = members.front()};
    ring->members = members;
    ring->last_whole = now_;
    // As long as it takes to be sure that somebody is gone.
    ring->patience = milliseconds(100 + random_.below(2500));
    std::map<NodeId, std::shared_ptr<Ring>> old;
    for (const NodeId id : members) {
        old[id] = nodes_.at(id).ring;
    }
    for (const NodeId id : members) {
        Node& node = nodes_.at(id);
        if (node.ring) {
            // What all members had it may still deliver as of the old ring, or not.
            if (random_.below(2) == 0) deliver(node, random_.below(4));
            protocol::Transitional transitional{.next = ring->id, .members = {}};
            for (const NodeId with : members) {
                if (old[with] == node.ring) transitional.members.push_back(with);
            }
            push(node, transitional);
            node.ring->is_broken = true;
            deliver(node, SIZE_MAX);
        }
        node.ring = ring;
        node.delivered = 0;
    }
    for (const NodeId id : members) {
        push(nodes_.at(id), view_of(*ring));
    }
}

// All members of a whole ring have it from now on.
void ToyCluster::order() {
    std::set<Ring*> done;
    for (auto& [id, node] : nodes_) {
        if (!node.ring || !done.insert(node.ring.get()).second || !is_whole(*node.ring)) continue;
        for (const NodeId member : node.ring->members) {
            Node& sender = nodes_.at(member);
            while (!sender.submissions.empty() && random_.below(4) != 0) {
                Item item = std::move(sender.submissions.front());
                sender.submissions.pop_front();
                if (item.incarnation != sender.incarnation.value()) continue;
                node.ring->ordered.emplace_back(std::move(item));
            }
        }
    }
}

void ToyCluster::deliver(Node& node, std::size_t most) {
    for (; most > 0 && node.delivered < node.ring->ordered.size(); --most) {
        const auto& what = node.ring->ordered[node.delivered];
        const auto& item = std::get<Item>(what);
        ++node.delivered;
        push(node, protocol::Batch{.ring = node.ring->id,
                                   .seq = node.delivered,
                                   .sender = item.sender,
                                   .payload = item.payload});
    }
}

// ---------------------------------------------------------------- the daemon

void ToyCluster::take(NodeId id, Node& node) {
    if (!node.is_up || node.quorumd_paused_until > now_) return;
    const std::uint64_t most = random_.below(8);
    for (std::uint64_t i = 0; i < most && node.taken < node.events.size(); ++i) {
        const protocol::Event event = node.events[node.taken++];
        step(id, node, quorum::RingHappened{event});
        if (const auto* batch = std::get_if<protocol::Batch>(&event.what))
            compare(id, node, *batch);
    }
    const auto deadline = node.core->next_deadline();
    if (deadline && *deadline <= clock_of(node)) step(id, node, quorum::TimePassed{});
}

void ToyCluster::step(NodeId id, Node& node, const quorum::Event& event) {
    std::vector<quorum::Action> actions;
    node.core->step(clock_of(node), event, actions);
    // A change is kept before anybody is told; the rest from time to time.
    const bool is_change = std::ranges::any_of(actions, [](const quorum::Action& action) {
        return std::holds_alternative<quorum::QuorumChanged>(action);
    });
    if (node.core->can_snapshot() && (is_change || random_.below(8) == 0))
        node.snapshot = node.core->snapshot();
    carry_out(id, node, actions);
}

void ToyCluster::carry_out(NodeId id, Node& node, std::vector<quorum::Action>& actions) {
    for (quorum::Action& action : actions) {
        if (auto* submit = std::get_if<quorum::Submit>(&action)) {
            Item item{.sender = id,
                      .payload = std::move(submit->payload),
                      .incarnation = node.incarnation.value()};
            if (submit->urgent) {
                node.submissions.push_front(std::move(item));
            } else {
                node.submissions.push_back(std::move(item));
            }
        } else if (auto* store = std::get_if<quorum::Store>(&action)) {
            node.durable = store->durable;
        } else {
            node.told.push_back(std::move(action));
        }
    }
}

// ---------------------------------------------------------------- time

void ToyCluster::run(base::Duration time) {
    const base::Instant end = now_ + time;
    while (now_ < end) {
        now_ += options_.tick;
        tick();
    }
}

void ToyCluster::tick() {
    watch_rings();
    order();
    for (auto& [id, node] : nodes_) {
        if (node.ring && ringd_runs(node)) deliver(node, random_.below(6));
    }
    for (auto& [id, node] : nodes_) {
        take(id, node);
    }
    check();
}

// ---------------------------------------------------------------- the rules

// The same place of the order, the same standing.
void ToyCluster::compare(NodeId id, const Node& node, const protocol::Batch& batch) {
    const quorum::Status status = node.core->status(clock_of(node));
    if (status.is_exchanging || batch.ring != status.view.ring) return;
    if (node.taken > 0 && node.taken < node.events.size() + 1) {
        for (std::size_t i = node.taken; i-- > 0;) {
            if (std::holds_alternative<protocol::View>(node.events[i].what)) break;
            if (std::holds_alternative<protocol::Transitional>(node.events[i].what)) return;
        }
    }
    ++decisions;
    const auto key = std::tuple(batch.ring, status.view.version, batch.seq);
    const auto [known, is_new] = standings_.try_emplace(key, status.standing);
    if (!is_new && known->second != status.standing)
        fault("node " + std::to_string(id.value()) + " decided otherwise than another");
}

void ToyCluster::check() {
    std::set<const Ring*> quorate_rings;
    for (auto& [id, node] : nodes_) {
        if (!node.is_up) continue;
        const bool is_now = node.core->is_quorate(clock_of(node));
        if (node.ring && is_whole(*node.ring)) node.last_contact = now_;
        if (is_now && now_ - node.last_contact > options_.config.lease + 2 * options_.tick)
            fault("node " + std::to_string(id.value()) + " outlives its lease");
        if (!is_now || !node.ring || !is_whole(*node.ring)) continue;
        const quorum::Status status = node.core->status(clock_of(node));
        // Without a device an exchange takes as long as its messages, and what was decided before
        // holds; a device may be silent for long.
        const bool is_counted = !status.is_exchanging || status.options.device_votes > 0;
        if (status.view.ring != node.ring->id || !is_counted) continue;
        quorate_rings.insert(node.ring.get());
        const quorum::Standing& standing = status.standing;
        if (!status.is_exchanging && status.device_is_voting &&
            standing.total_votes - status.options.device_votes < standing.threshold &&
            device_rings_.insert(node.ring->id).second)
            ++decided_by_device;
    }
    if (quorate_rings.size() < 2) last_one_sided_ = now_;
    // A device's no takes effect as a message through the ring does.
    const base::Duration message_time =
        options_.config.options.device_votes > 0 ? 10 * options_.tick : base::Duration{};
    if (now_ - last_one_sided_ > message_time && !two_sides_are_allowed)
        fault("two rings are quorate");

    // Quorum that begins where nobody had it begins when nobody else has it.
    for (auto& [id, node] : nodes_) {
        if (!node.is_up || node.was_quorate || !node.core->is_quorate(clock_of(node))) continue;
        const auto members = node.core->status(clock_of(node)).members;
        const bool had_it = std::ranges::any_of(members, [&](NodeId member) {
            return nodes_.at(member).is_up && nodes_.at(member).was_quorate;
        });
        if (had_it) continue;
        ++gains;
        for (const auto& [other, elsewhere] : nodes_) {
            const bool is_member = std::ranges::find(members, other) != members.end();
            if (!is_member && elsewhere.is_up && elsewhere.core->is_quorate(clock_of(elsewhere)) &&
                !two_sides_are_allowed)
                fault("node " + std::to_string(id.value()) + " gains quorum while node " +
                      std::to_string(other.value()) + " still has it");
        }
    }
    for (auto& [id, node] : nodes_) {
        node.was_quorate = node.is_up && node.core->holds(clock_of(node));
    }
}

}  // namespace quorum_test
