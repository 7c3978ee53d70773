// Several nodes' Switches over a toy total order that keeps extended virtual synchrony: what Totem
// promises, and no more, with every freedom it has.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "common/base/prng.hpp"
#include "ringd/stream/switch.hpp"
#include "tests/unit/ringd/stream/toy_service.hpp"

namespace stream::test {

class ToyCluster {
  public:
    ToyCluster(std::uint32_t nodes, const SwitchConfig& config, std::uint64_t seed);

    // ---- the ring
    // The nodes' groups; each becomes a ring, as one of the old one's members or merged. Which of
    // the messages under way arrive before that is chosen at random, within the rules.
    void form_rings(const std::vector<std::vector<std::uint32_t>>& groups);
    // ringd of this node is gone, with all its connections, and starts again alone.
    void restart_node(std::uint32_t node);
    // One random step: some node's item gets its place, or some node delivers the next one. False:
    // there is nothing to do.
    bool step_ring();

    // ---- services
    ToyService& service(std::uint32_t node, const std::string& channel);
    void connect(ToyService& service, bool afresh = false);
    void kill(ToyService& service);  // Closes its connection.
    bool submit(ToyService& service, std::size_t bytes = 0, bool urgent = false);
    void acknowledge(ToyService& service);
    void detach(ToyService& service);

    // Carries out what the Switches want until nothing moves any more; services acknowledge.
    void settle();
    // The same, without acknowledging.
    void run();
    void pass_time(Duration time);

    [[nodiscard]] Switch& switch_of(std::uint32_t node) {
        return *nodes_.at(base::NodeId{node}).core;
    }
    [[nodiscard]] std::vector<LifeRecord> lives() const;
    [[nodiscard]] std::vector<std::unique_ptr<ToyService>>& services() { return services_; }
    [[nodiscard]] base::Prng& random() { return random_; }
    [[nodiscard]] Instant now() const { return now_; }
    // Frames for connections that are no service's, in order: observers and strangers.
    [[nodiscard]] std::vector<protocol::RingFrame>& heard(ConnectionId connection) {
        return heard_[connection];
    }
    [[nodiscard]] bool is_closed(ConnectionId connection) const {
        return closed_.contains(connection);
    }
    // A connection that is no service's says this.
    ConnectionId open(std::uint32_t node, const base::Buffer& first_frame);
    void say(std::uint32_t node, ConnectionId connection, const base::Buffer& frame);

  private:
    struct Ring {
        base::RingId id{};
        std::vector<base::NodeId> members;
        std::vector<totem::Deliver> order;
    };
    struct Node {
        std::unique_ptr<Switch> core;
        std::shared_ptr<Ring> ring;
        std::size_t delivered = 0;  // Of ring->order.
        std::deque<totem::Submitted> urgent;
        std::deque<totem::Submitted> ordinary;
        std::set<std::uint64_t> ordered;  // Submissions in their place, beyond `taken`.
        std::uint64_t taken = 0;
    };

    std::unique_ptr<Switch> new_switch(base::NodeId node) const;
    void order_next_of(base::NodeId id);
    void deliver_next_to(Node& node);
    void collect(base::NodeId id);
    void carry_out(base::NodeId id);
    ToyService* service_of(ConnectionId connection);

    SwitchConfig config_;
    base::Prng random_;
    Instant now_{std::chrono::seconds(1)};
    std::map<base::NodeId, Node> nodes_;
    std::vector<std::unique_ptr<ToyService>> services_;
    std::uint64_t last_ring_ = 0;
    std::uint64_t last_connection_ = 0;
    std::map<ConnectionId, std::vector<protocol::RingFrame>> heard_;
    std::set<ConnectionId> closed_;
};

}  // namespace stream::test
