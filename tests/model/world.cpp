#include "tests/model/world.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"
#include "tests/sim/payload.hpp"

namespace model {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kItemBytes = 24;
constexpr std::size_t kStepsMax = 20'000;  // Of an end that must come much sooner.

totem::RingConfig settings(std::size_t self, std::size_t nodes) {
    totem::RingConfig config;
    config.self = base::NodeId{static_cast<std::uint32_t>(self + 1)};
    for (std::size_t i = 0; i < nodes; ++i) {
        if (i == self) continue;
        config.peers.push_back(
            {.node = base::NodeId{static_cast<std::uint32_t>(i + 1)}, .links = {totem::LinkId{0}}});
    }
    // Few deadlines: each is a step of time that somebody may choose. Five rounds of a gather last
    // longer than the time in which a new ring takes nobody in, as with the default settings.
    config.token_timeout = milliseconds(90);
    config.token_retransmit = milliseconds(30);
    config.join_interval = milliseconds(30);
    config.consensus_timeout = milliseconds(60);
    config.merge_interval = milliseconds(150);
    config.heartbeat_interval = milliseconds(200);
    config.silence_min = milliseconds(900);
    config.silence_max = milliseconds(1200);
    return config;
}

base::Duration bound() {
    const totem::RingConfig it = settings(0, 2);
    return 2 * (it.token_timeout + it.silence_max) + 8 * it.consensus_timeout +
           4 * it.merge_interval;
}

bool is_heartbeat(const base::Buffer& packet) {
    return totem::type_of(packet.bytes()) == totem::PacketType::Heartbeat;
}

}  // namespace

std::string to_text(const Choice& choice) {
    const std::string at = std::to_string(choice.at + 1);
    const std::string line = at + " to " + std::to_string(choice.to + 1);
    switch (choice.what) {
        case Choice::What::Arrive:
            return "arrives " + line;
        case Choice::What::Lose:
            return "lost " + line;
        case Choice::What::Submit:
            return at + (choice.safe ? " sends safe" : " sends");
        case Choice::What::Wait:
            return "time passes";
        case Choice::What::Crash:
            return at + " crashes";
        case Choice::What::Restart:
            return at + " restarts";
        case Choice::What::Cut:
            return at + " is cut off";
        case Choice::What::Mend:
            return at + " is back";
    }
    return "";
}

World::World(std::size_t nodes, Record& record) : record_(&record), nodes_(nodes) {
    INVARIANT(nodes >= 2);
    INVARIANT(nodes <= kNodesMax);
    for (std::size_t i = 0; i < nodes; ++i) {
        nodes_[i].who = {.node = base::NodeId{static_cast<std::uint32_t>(i + 1)}, .life = 0};
        start(nodes_[i]);
    }
}

void World::note(const sim::Process& who, sim::What what) {
    record_->trace.push_back({now_, who, std::move(what)});
}

void World::start(Node& node) {
    ++node.who.life;
    node.submitted = 0;
    node.audience.clear();
    note(node.who, sim::Started{node.durable});
    node.ring.emplace(settings(index_of(node.who.node), nodes_.size()), node.durable, node.who.life,
                      now_);
    step(node, totem::DeadlinePassed{});
}

void World::take(const Choice& choice) {
    Node& node = nodes_[choice.at];
    switch (choice.what) {
        case Choice::What::Arrive:
            arrive(choice.at, choice.to);
            break;
        case Choice::What::Lose:
            line(choice.at, choice.to).pop_front();
            break;
        case Choice::What::Submit: {
            const sim::MessageId message{.sender = node.who, .number = ++node.submitted};
            const auto guarantee = choice.safe ? totem::Guarantee::Safe : totem::Guarantee::Agreed;
            note(node.who, sim::Sent{.number = message.number,
                                     .guarantee = guarantee,
                                     .urgent = false,
                                     .size = kItemBytes});
            step(node, totem::Submitted{.number = message.number,
                                        .guarantee = guarantee,
                                        .urgent = false,
                                        .payload = sim::make_payload(message, kItemBytes)});
            break;
        }
        case Choice::What::Wait:
            wait();
            break;
        case Choice::What::Crash:
            note(node.who, sim::Ended{sim::Ended::How::Crashed});
            node.ring.reset();
            for (std::size_t other = 0; other < nodes_.size(); ++other) {
                if (other == choice.at) continue;
                line(other, choice.at).clear();
                line(choice.at, other)
                    .emplace_back(totem::PeerEvidence{.peer = node.who.node,
                                                      .link = totem::LinkId{0},
                                                      .kind = totem::PeerEvidence::Kind::Obituary});
            }
            break;
        case Choice::What::Restart:
            start(node);
            break;
        case Choice::What::Cut:
        case Choice::What::Mend: {
            // Its cable: the own carrier is what it sees, the others have a silence to notice.
            const bool cut = choice.what == Choice::What::Cut;
            cut_off_ = cut ? std::optional(choice.at) : std::nullopt;
            for (std::size_t other = 0; cut && other < nodes_.size(); ++other) {
                line(choice.at, other).clear();
                line(other, choice.at).clear();
            }
            step(node, totem::PeerEvidence{.peer = base::kNoNode,
                                           .link = totem::LinkId{0},
                                           .kind = cut ? totem::PeerEvidence::Kind::LinkLost
                                                       : totem::PeerEvidence::Kind::LinkBack});
            break;
        }
    }
    deliver_beats();
}

std::vector<Choice> World::arrivals() const {
    std::vector<Choice> choices;
    for (std::size_t from = 0; from < nodes_.size(); ++from) {
        for (std::size_t to = 0; to < nodes_.size(); ++to) {
            if (lines_[from * kNodesMax + to].empty()) continue;
            choices.push_back({.what = Choice::What::Arrive, .at = from, .to = to});
        }
    }
    return choices;
}

std::optional<totem::PacketType> World::first_on_line(std::size_t from, std::size_t to) const {
    const auto& line = lines_[from * kNodesMax + to];
    if (line.empty()) return std::nullopt;
    const auto* packet = std::get_if<base::Buffer>(&line.front());
    return packet == nullptr ? std::nullopt : totem::type_of(packet->bytes());
}

void World::arrive(std::size_t from, std::size_t to) {
    const Sent sent = std::move(line(from, to).front());
    line(from, to).pop_front();
    Node& node = nodes_[to];
    if (!node.ring) return;
    if (const auto* evidence = std::get_if<totem::PeerEvidence>(&sent)) {
        step(node, *evidence);
        return;
    }
    const auto& packet = std::get<base::Buffer>(sent);
    record_->tap.received(now_, node.who, nodes_[from].who.node, packet);
    step(node, totem::PacketArrived{
                   .from = nodes_[from].who.node, .link = totem::LinkId{0}, .packet = packet});
    step(node, totem::Drained{});
}

void World::deliver_beats() {
    while (!beats_.empty()) {
        const Beat beat = std::move(beats_.front());
        beats_.pop_front();
        Node& node = nodes_[beat.to];
        if (!node.ring || is_cut(beat.from, beat.to)) continue;
        step(node, totem::PacketArrived{.from = nodes_[beat.from].who.node,
                                        .link = totem::LinkId{0},
                                        .packet = beat.packet});
        step(node, totem::Drained{});
    }
}

void World::wait() {
    std::optional<base::Instant> next;
    for (const Node& node : nodes_) {
        if (!node.ring) continue;
        const auto deadline = node.ring->next_deadline();
        if (deadline && (!next || *deadline < *next)) next = deadline;
    }
    if (!next) return;
    now_ = std::max(now_ + std::chrono::microseconds(1), *next);
    for (Node& node : nodes_) {
        const bool is_due =
            node.ring && node.ring->next_deadline() && *node.ring->next_deadline() <= now_;
        if (is_due) step(node, totem::DeadlinePassed{});
        deliver_beats();
    }
}

void World::step(Node& node, const totem::Event& event) {
    std::vector<totem::Action> actions;
    node.ring->step(now_, event, actions);
    for (const totem::Action& action : actions)
        act(node, action);
}

void World::act(Node& node, const totem::Action& action) {
    if (const auto* one = std::get_if<totem::SendTo>(&action)) {
        send(node, index_of(one->to), one->packet);
    } else if (const auto* all = std::get_if<totem::SendToAll>(&action)) {
        for (std::size_t to = 0; to < nodes_.size(); ++to) {
            const base::NodeId member{static_cast<std::uint32_t>(to + 1)};
            const bool is_meant = all->audience == totem::SendToAll::Audience::Configured ||
                                  std::ranges::find(node.audience, member) != node.audience.end();
            if (is_meant && member != node.who.node) send(node, to, all->packet);
        }
    } else if (const auto* audience = std::get_if<totem::SetAudience>(&action)) {
        node.audience = audience->members;
    } else if (const auto* store = std::get_if<totem::StoreRing>(&action)) {
        // At once: what a slow disk does is the simulator's to show.
        node.durable = store->ring;
        note(node.who, sim::Stored{store->ring});
        step(node, totem::RingStored{store->ring});
    } else if (const auto* delivery = std::get_if<totem::Deliver>(&action)) {
        const auto message = sim::read_payload(delivery->payload);
        note(node.who, sim::Delivered{.ring = delivery->ring,
                                      .seq = delivery->seq,
                                      .index = delivery->index,
                                      .sender = delivery->sender,
                                      .guarantee = delivery->guarantee,
                                      .message = message.value_or(sim::MessageId{}),
                                      .intact = message.has_value(),
                                      .size = delivery->payload.size()});
    } else if (const auto* install = std::get_if<totem::InstallConfiguration>(&action)) {
        note(node.who, sim::Installed{*install});
    } else if (const auto* taken = std::get_if<totem::Taken>(&action)) {
        note(node.who, sim::TakenTo{taken->number});
    }
}

void World::send(const Node& from, std::size_t to, const base::Buffer& packet) {
    record_->tap.sent(now_, from.who, packet);
    const std::size_t sender = index_of(from.who.node);
    if (is_heartbeat(packet)) {
        beats_.push_back({.from = sender, .to = to, .packet = packet});
    } else if (nodes_[to].ring && !is_cut(sender, to)) {
        line(sender, to).emplace_back(packet);
    }
}

bool World::is_cut(std::size_t a, std::size_t b) const {
    return cut_off_ == a || cut_off_ == b;
}

// All in one ring, nothing on its way, and the token parked.
bool World::is_at_rest() const {
    if (!arrivals().empty()) return false;
    std::size_t parked = 0;
    std::size_t running = 0;
    std::optional<base::RingId> ring;
    for (const Node& node : nodes_) {
        if (!node.ring) continue;
        ++running;
        const totem::RingStatus status = node.ring->status();
        if (status.state != "operational" || status.queue_bytes > 0) return false;
        if (ring && *ring != status.ring) return false;
        ring = status.ring;
        parked += status.holds_token ? 1 : 0;
        if (status.safe_line != status.seq || status.delivered != status.seq) return false;
        if (status.members.size() < running) return false;
    }
    for (const Node& node : nodes_) {
        if (node.ring && node.ring->status().members.size() != running) return false;
    }
    return parked == 1;
}

void World::let_settle() {
    const base::Instant end = now_ + bound();
    for (std::size_t steps = 0; steps < kStepsMax && now_ < end && !is_at_rest(); ++steps) {
        const std::vector<Choice> all = arrivals();
        if (all.empty()) {
            wait();
        } else {
            for (const Choice& choice : all)
                take(choice);
        }
    }
}

void World::end_well() {
    sim::PhaseBegan phase{.running = {}, .cut = {}, .bound = bound()};
    for (const Node& node : nodes_) {
        if (node.ring) phase.running.push_back(node.who.node);
    }
    if (cut_off_) take({.what = Choice::What::Mend, .at = *cut_off_});
    note({}, std::move(phase));
    let_settle();
    note({}, sim::PhaseEnded{});
}

}  // namespace model
