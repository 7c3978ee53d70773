// A channel with extended virtual synchrony and safe delivery, in memory and seeded: rings that
// break and merge, what each node has received, what it delivers where. On each node a Replica that
// may be killed and go on from what it stored, or lose its node.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cmapd/core/replica.hpp"
#include "common/base/prng.hpp"

namespace cmap::test {

class ToyRing {
  public:
    // `answered` is told each answer, to a write when it has been stored.
    using OnAnswer = std::function<void(base::NodeId, const Replica::Answered&)>;
    ToyRing(std::size_t nodes, std::uint64_t seed, bool counts_votes, OnAnswer answered);

    // One thing happens, chosen by the seed: a message is ordered, received or delivered, or a node
    // learns whether it is quorate.
    void run(int steps);
    // Until nothing is left to happen.
    void settle();

    // All rings end; each of `parts`, which have all nodes, forms one.
    void split(const std::vector<std::set<base::NodeId>>& parts);
    void split_at_random();
    // Some nodes form a ring, and those that they leave do not know yet: they go on in theirs,
    // where nothing can be safe any more.
    void leave_some_behind();
    void heal();
    // cmapd is killed and is back at once.
    void restart(base::NodeId node);
    // The node is gone, with all that it had not stored; revive() starts it.
    void kill(base::NodeId node);
    void revive(base::NodeId node);

    [[nodiscard]] bool is_up(base::NodeId node) const { return nodes_.at(node).is_up; }
    [[nodiscard]] Replica& replica(base::NodeId node) { return *nodes_.at(node).replica; }
    [[nodiscard]] std::size_t size() const { return nodes_.size(); }
    // Needs: is_up, is_open.
    void write(base::NodeId node, SessionId session, std::uint64_t number,
               const protocol::cmap::Request& request);
    // Needs: is_up.
    void read(base::NodeId node, SessionId session, std::uint64_t number, const std::string& key);
    [[nodiscard]] const Replica::Values& stored_keys(base::NodeId node) const {
        return nodes_.at(node).stored_keys;
    }
    // Its quorumd says until when the ring is quorate.
    void lease(base::NodeId node, base::Instant until);
    // The clock of all nodes; it also goes on by 1 ns with all that happens.
    void pass_time(base::Instant now);
    // Times that another partition's keys went on instead of a node's own.
    [[nodiscard]] std::size_t losses() const { return losses_; }

    base::Prng random;

  private:
    struct Message {
        base::NodeId sender{};
        base::Buffer payload;
    };
    struct Ring {
        base::RingId id{};
        std::set<base::NodeId> founders;
        std::set<base::NodeId> members;  // Those that are still in it.
        std::vector<Message> log;
        std::map<base::NodeId, std::size_t> received;   // How many of the log, from its start.
        std::map<base::NodeId, std::size_t> delivered;  // As above.
        std::set<base::NodeId> unsure;                  // Not told yet whether they are quorate.
    };
    struct Node {
        bool is_up = true;
        std::unique_ptr<Replica> replica;
        protocol::Incarnation incarnation{};
        std::deque<base::Buffer> urgent;
        std::deque<base::Buffer> ordinary;
        // What ringd keeps: the events that cmapd has not stored.
        std::deque<protocol::Event> retained;
        std::uint64_t cursor = 0;
        std::map<base::NodeId, protocol::Incarnation> view;  // The last one.
        // The database.
        std::optional<base::Buffer> stored;
        Replica::Values stored_keys;
    };

    [[nodiscard]] std::set<base::NodeId> all_up() const;
    Ring& ring_of(base::NodeId node);
    void form(const std::set<base::NodeId>& members);
    void leave_ring(const Ring& old, const std::set<base::NodeId>& together, base::RingId next);
    bool step();
    bool order(Ring& ring, base::NodeId node);
    bool receive(Ring& ring, base::NodeId node);
    bool deliver(Ring& ring, base::NodeId node);
    bool tell_quorum(Ring& ring);
    void deliver_message(const Ring& ring, std::size_t at, base::NodeId node);
    void give(base::NodeId node, decltype(protocol::Event::what) what);
    void take(base::NodeId node, Replica::Out out);
    void start_replica(base::NodeId node, bool resumed);
    void tell_votes(base::NodeId node, const Ring& ring);

    Replica& at_next_instant(Node& node);

    bool counts_votes_;
    OnAnswer answered_;
    base::Instant now_{};
    std::map<base::NodeId, Node> nodes_;
    std::vector<Ring> rings_;
    std::uint64_t last_ring_ = 0;
    std::uint64_t last_incarnation_ = 0;
    std::size_t losses_ = 0;
};

}  // namespace cmap::test
