// Several quorum::Cores on a model of the ring, in time: partitions, merges, crashes, pauses of
// ringd and of quorumd, restarts with what was kept. Each node has a clock of its own. Events that
// a node's ringd has passed on wait for its quorumd, which may be slow.
//
// The model of the ring: a message has its place when all members of an unbroken ring are reached;
// from then on each member delivers it when its turn comes, some before a break is noticed and some
// after (in the transitional configuration). A ringd that was paused delivers what it had to when
// it goes on, as in the old ring: as late as can be.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/prng.hpp"
#include "quorumd/core/core.hpp"

namespace quorum_test {

using base::NodeId;

struct ToyOptions {
    std::vector<std::uint32_t> votes;  // Of nodes 1, 2, …
    quorum::Config config{};
    base::Duration tick = std::chrono::milliseconds{20};
};

class ToyCluster {
  public:
    ToyCluster(const ToyOptions& options, std::uint64_t seed);

    // Faults. Sides: of each node, which part of the network it is in.
    void partition(const std::vector<unsigned>& sides);
    void heal();
    void pause_ringd(std::uint32_t node, base::Duration time);
    void pause_quorumd(std::uint32_t node, base::Duration time);
    void power_off(std::uint32_t node);
    void power_on(std::uint32_t node);
    void restart_quorumd(std::uint32_t node);
    void restart_ringd(std::uint32_t node);
    void leave(std::uint32_t node);  // Says so; power_off() follows.

    void run(base::Duration time);

    [[nodiscard]] bool is_quorate(std::uint32_t node) const;
    [[nodiscard]] bool is_up(std::uint32_t node) const;
    [[nodiscard]] bool quorumd_runs(std::uint32_t node) const;
    [[nodiscard]] base::Instant now() const { return now_; }
    [[nodiscard]] quorum::Status status(std::uint32_t node) const;
    [[nodiscard]] std::vector<std::uint32_t> ids() const;
    void give(std::uint32_t node, const quorum::Event& event);
    [[nodiscard]] const std::vector<quorum::Action>& told(std::uint32_t node) const;

    std::vector<std::string> faults;
    // By definition: two_node, downscale.
    bool two_sides_are_allowed = false;
    std::uint64_t decisions = 0;
    std::uint64_t withdrawals = 0;  // Of quorum, without a decision.
    std::uint64_t gains = 0;
    std::uint64_t decided_by_device = 0;  // Rings that are quorate by its vote only.

  private:
    struct Item {
        NodeId sender{};
        base::Buffer payload;
        std::uint64_t incarnation = 0;
    };
    struct Ring {
        base::RingId id{};
        std::uint64_t version = 0;
        std::vector<NodeId> members;
        std::vector<std::variant<Item, protocol::View>> ordered;
        bool is_broken = false;  // Some member has left it.
        base::Instant unwhole_since{};
        bool is_whole = true;
        base::Instant last_whole{};
        base::Duration patience{};
    };
    struct Node {
        std::unique_ptr<quorum::Core> core;
        base::Buffer snapshot;
        base::Buffer durable;
        base::Duration clock_offset{};
        bool is_up = false;
        bool has_said_it_leaves = false;
        unsigned side = 0;
        base::Instant ringd_paused_until{};
        base::Instant quorumd_paused_until{};
        protocol::Incarnation incarnation{};
        std::shared_ptr<Ring> ring;
        std::size_t delivered = 0;            // Of ring->ordered, by its ringd.
        std::vector<protocol::Event> events;  // Of this attachment: cursor 1 first.
        std::size_t taken = 0;                // Of these, by its quorumd.
        std::deque<Item> submissions;
        std::vector<quorum::Action> told;
        bool was_quorate = false;
        base::Instant last_contact{};  // Its ring was whole, with a quorate decision.
    };

    [[nodiscard]] base::Instant clock_of(const Node& node) const {
        return now_ + node.clock_offset;
    }
    void tick();
    void watch_rings();
    void form_ring(const std::vector<NodeId>& members);
    void order();
    void deliver(Node& node, std::size_t most);
    void take(NodeId id, Node& node);
    void step(NodeId id, Node& node, const quorum::Event& event);
    void carry_out(NodeId id, Node& node, std::vector<quorum::Action>& actions);
    void push(Node& node,
              std::variant<protocol::Transitional, protocol::View, protocol::Batch> what);
    [[nodiscard]] protocol::View view_of(const Ring& ring) const;
    [[nodiscard]] bool is_whole(const Ring& ring) const;
    [[nodiscard]] bool ringd_runs(const Node& node) const;
    void attach_afresh(NodeId id, Node& node);
    void check();
    void compare(NodeId id, const Node& node, const protocol::Batch& batch);
    void fault(const std::string& text);
    void trace() const;

    ToyOptions options_;
    base::Prng random_;
    base::Instant now_{std::chrono::hours{1}};
    std::map<NodeId, Node> nodes_;
    std::uint64_t next_ring_ = 1;
    std::uint64_t next_id_ = 1;
    std::map<std::tuple<base::RingId, std::uint64_t, std::uint64_t>, quorum::Standing> standings_;
    std::set<base::RingId> device_rings_;
    base::Instant last_one_sided_{};  // When at most one ring was quorate.
};

}  // namespace quorum_test
