#include "tests/unit/ringd/stream/toy_cluster.hpp"

#include <algorithm>

#include "common/protocol/codec.hpp"

namespace stream::test {
namespace {

constexpr std::size_t kQueueBytesMax = 2000;  // Small, so that the Switches have to wait for it.

}  // namespace

ToyCluster::ToyCluster(std::uint32_t nodes, const SwitchConfig& config, std::uint64_t seed)
    : config_(config), random_(seed) {
    for (std::uint32_t id = 1; id <= nodes; ++id) {
        nodes_[base::NodeId{id}].core = new_switch(base::NodeId{id});
    }
}

std::unique_ptr<Switch> ToyCluster::new_switch(base::NodeId node) const {
    SwitchConfig config = config_;
    config.self = node;
    return std::make_unique<Switch>(config);
}

// ---------------------------------------------------------------- the ring

void ToyCluster::form_rings(const std::vector<std::vector<std::uint32_t>>& groups) {
    for (const auto& group : groups) {
        const auto next = std::make_shared<Ring>();
        for (const std::uint32_t id : group) {
            next->members.push_back(base::NodeId{id});
        }
        next->id = {.seq = ++last_ring_, .representative = next->members.front()};

        std::map<std::shared_ptr<Ring>, std::vector<base::NodeId>> together;
        for (const base::NodeId id : next->members) {
            together[nodes_.at(id).ring].push_back(id);
        }
        for (const auto& [old, members] : together) {
            if (old) {
                // All of them deliver up to one place: what any of them delivered and what they
                // sent themselves, at least. Where the regular configuration ends is free too.
                std::size_t reached = 0;
                for (const base::NodeId id : members) {
                    reached = std::max(reached, nodes_.at(id).delivered);
                }
                std::size_t end = reached;
                for (std::size_t i = reached; i < old->order.size(); ++i) {
                    if (std::ranges::binary_search(members, old->order[i].sender)) end = i + 1;
                }
                end += random_.below(old->order.size() - end + 1);
                const std::size_t regular = reached + random_.below(end - reached + 1);
                for (const base::NodeId id : members) {
                    Node& node = nodes_.at(id);
                    while (node.delivered < regular) {
                        deliver_next_to(node);
                    }
                    node.core->install(now_,
                                       {.kind = totem::InstallConfiguration::Kind::Transitional,
                                        .ring = next->id,
                                        .previous = old->id,
                                        .members = members});
                    while (node.delivered < end) {
                        deliver_next_to(node);
                    }
                }
            }
            for (const base::NodeId id : members) {
                Node& node = nodes_.at(id);
                node.ring = next;
                node.delivered = 0;
                node.core->install(now_, {.kind = totem::InstallConfiguration::Kind::Regular,
                                          .ring = next->id,
                                          .previous = old ? old->id : base::RingId{},
                                          .members = next->members});
                carry_out(id);
            }
        }
    }
}

void ToyCluster::restart_node(std::uint32_t number) {
    const base::NodeId id{number};
    for (const auto& service : services_) {
        if (service->node() != id) continue;
        service->disconnected();
    }
    nodes_[id] = {};
    nodes_[id].core = new_switch(id);
}

bool ToyCluster::step_ring() {
    std::vector<base::NodeId> senders;
    std::vector<base::NodeId> receivers;
    for (auto& [id, node] : nodes_) {
        if (!node.ring) continue;
        collect(id);
        if (!node.urgent.empty() || !node.ordinary.empty()) senders.push_back(id);
        if (node.delivered < node.ring->order.size()) receivers.push_back(id);
    }
    const std::size_t choices = senders.size() + receivers.size();
    if (choices == 0) return false;
    const std::size_t choice = random_.below(choices);
    if (choice < senders.size()) {
        order_next_of(senders[choice]);
    } else {
        const base::NodeId id = receivers[choice - senders.size()];
        deliver_next_to(nodes_.at(id));
        carry_out(id);
    }
    return true;
}

void ToyCluster::order_next_of(base::NodeId id) {
    Node& node = nodes_.at(id);
    auto& queue = node.urgent.empty() ? node.ordinary : node.urgent;
    const totem::Submitted submitted = queue.front();
    queue.pop_front();
    node.ring->order.push_back({.ring = node.ring->id,
                                .seq = totem::Seq{node.ring->order.size() + 1},
                                .index = 0,
                                .sender = id,
                                .guarantee = submitted.guarantee,
                                .payload = submitted.payload});
    node.ordered.insert(submitted.number);
    while (node.ordered.erase(node.taken + 1) > 0) {
        ++node.taken;
    }
    node.core->taken({.number = node.taken});
}

void ToyCluster::deliver_next_to(Node& node) {
    const totem::Deliver next = node.ring->order.at(node.delivered++);
    node.core->deliver(now_, next);
}

void ToyCluster::collect(base::NodeId id) {
    Node& node = nodes_.at(id);
    std::size_t used = 0;
    for (const auto* queue : {&node.urgent, &node.ordinary}) {
        for (const totem::Submitted& submitted : *queue) {
            used += submitted.payload.size();
        }
    }
    std::vector<totem::Submitted> submissions;
    node.core->take_submissions(kQueueBytesMax - std::min(used, kQueueBytesMax), submissions);
    for (totem::Submitted& submitted : submissions) {
        (submitted.urgent ? node.urgent : node.ordinary).push_back(std::move(submitted));
    }
}

// ---------------------------------------------------------------- services

ToyService& ToyCluster::service(std::uint32_t node, const std::string& channel) {
    for (const auto& service : services_) {
        if (service->node().value() == node && service->channel() == channel) return *service;
    }
    services_.push_back(std::make_unique<ToyService>(base::NodeId{node}, channel));
    return *services_.back();
}

void ToyCluster::connect(ToyService& service, bool afresh) {
    const ConnectionId connection{++last_connection_};
    const base::Buffer frame = service.connect(connection, afresh);
    switch_of(service.node().value()).frame(now_, connection, frame);
    carry_out(service.node());
}

void ToyCluster::kill(ToyService& service) {
    const auto connection = service.connection();
    service.disconnected();
    if (connection) switch_of(service.node().value()).closed(now_, *connection);
    carry_out(service.node());
}

bool ToyCluster::submit(ToyService& service, std::size_t bytes, bool urgent) {
    const auto frame = service.submit(bytes, false, urgent);
    if (!frame) return false;
    switch_of(service.node().value()).frame(now_, *service.connection(), *frame);
    carry_out(service.node());
    return true;
}

void ToyCluster::acknowledge(ToyService& service) {
    const auto frame = service.acknowledge();
    if (frame) switch_of(service.node().value()).frame(now_, *service.connection(), *frame);
    carry_out(service.node());
}

void ToyCluster::detach(ToyService& service) {
    const base::Buffer frame = service.detach();
    switch_of(service.node().value()).frame(now_, *service.connection(), frame);
    carry_out(service.node());
}

ConnectionId ToyCluster::open(std::uint32_t node, const base::Buffer& first_frame) {
    const ConnectionId connection{++last_connection_};
    say(node, connection, first_frame);
    return connection;
}

void ToyCluster::say(std::uint32_t node, ConnectionId connection, const base::Buffer& frame) {
    switch_of(node).frame(now_, connection, frame);
    carry_out(base::NodeId{node});
}

ToyService* ToyCluster::service_of(ConnectionId connection) {
    for (const auto& service : services_) {
        if (service->connection() == connection) return service.get();
    }
    return nullptr;
}

void ToyCluster::carry_out(base::NodeId id) {
    for (;;) {
        std::vector<Output> outputs;
        nodes_.at(id).core->take_outputs(outputs);
        if (outputs.empty()) return;
        for (const Output& output : outputs) {
            if (const auto* close = std::get_if<CloseConnection>(&output)) {
                closed_.insert(close->connection);
                if (ToyService* service = service_of(close->connection)) service->disconnected();
                continue;
            }
            const auto& send = std::get<SendFrame>(output);
            const base::Buffer frame = protocol::joined(send.head, send.body);
            ToyService* service = service_of(send.to);
            if (service == nullptr) {
                heard_[send.to].push_back(*protocol::decode_ring_frame(frame));
                continue;
            }
            for (const base::Buffer& answer : service->hear(frame)) {
                nodes_.at(id).core->frame(now_, send.to, answer);
            }
        }
    }
}

void ToyCluster::run() {
    while (step_ring()) {
    }
}

void ToyCluster::settle() {
    for (bool moved = true; moved;) {
        moved = step_ring();
        for (const auto& service : services_) {
            if (!service->is_attached()) continue;
            const auto before = service->life().events.size();
            acknowledge(*service);
            moved = moved || service->life().events.size() != before;
        }
        moved = moved || step_ring();  // An acknowledgement may have set the channel going.
    }
}

void ToyCluster::pass_time(Duration time) {
    now_ += time;
    for (auto& [id, node] : nodes_) {
        const auto deadline = node.core->next_deadline();
        if (deadline && *deadline <= now_) node.core->deadline_passed(now_);
        carry_out(id);
    }
}

std::vector<LifeRecord> ToyCluster::lives() const {
    std::vector<LifeRecord> lives;
    for (const auto& service : services_) {
        lives.insert(lives.end(), service->lives().begin(), service->lives().end());
    }
    return lives;
}

}  // namespace stream::test
