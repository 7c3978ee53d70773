// Several cpg::Cores over a total order that is a shared list, with clients that keep their side of
// the protocol: they acknowledge, keep what is not credited, and come back.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/prng.hpp"
#include "cpgd/core/core.hpp"
#include "tests/support/cpg_client.hpp"

namespace cpg_test {

using base::NodeId;
using support::CpgChecker;
using support::ViewTag;

struct ToyClient : support::CpgClient {
    cpg::ConnectionId connection{};
    std::uint32_t uid = 0;
};

class ToyCluster {
  public:
    explicit ToyCluster(std::vector<std::uint32_t> nodes, const cpg::Config& config = {});

    // The channel. All nodes of `sides` must exist; a node in no side is down (its ringd is away).
    void partition(const std::vector<std::vector<std::uint32_t>>& sides);
    // The same, and between the last view and the new one up to `late` items reach only their side.
    void partition_with_late_items(const std::vector<std::vector<std::uint32_t>>& sides,
                                   base::Prng& random, std::uint64_t late);
    void order_one(std::uint32_t node);    // Its oldest submission gets its place.
    bool deliver_one(std::uint32_t node);  // It takes its next event of the channel.
    bool has_submissions(std::uint32_t node) const;
    void settle();  // Until nothing moves.

    // cpgd is killed and started again with `snapshot`, or afresh where there is none.
    void restart(std::uint32_t node, const std::optional<base::Buffer>& snapshot);
    // ringd is killed and started again: what it had not handed to its cpgd is lost here, the
    // others of its side go on. The node comes back with the next partition() that has it in a
    // side.
    void lose_ring(std::uint32_t node);
    void advance(base::Duration time);

    // Clients.
    // With an odd pid its library takes runs of messages, with an even one it does not.
    ToyClient& add_client(std::uint32_t node, std::uint32_t pid, std::uint32_t uid = 0);
    void connect(ToyClient& client);
    void disconnect(ToyClient& client);
    void kill(ToyClient& client);
    std::uint32_t join(ToyClient& client, const std::string& group, std::uint32_t handle = 1);
    std::uint32_t leave(ToyClient& client, std::uint32_t handle = 1);
    void send(ToyClient& client, const std::string& text, std::uint32_t handle = 1);
    // At once, with handle 1.
    void send_all(ToyClient& client, const std::vector<std::string>& texts);
    void ask(ToyClient& client, protocol::cpg::ClientFrame frame);
    void acknowledge(ToyClient& client);

    cpg::Core& core(std::uint32_t node) { return nodes_.at(NodeId{node}).core; }
    CpgChecker& checker() { return checker_; }
    std::deque<ToyClient>& clients() { return clients_; }
    std::vector<std::string> faults() { return checker_.faults(); }
    // Each node's fold, to compare: group → members.
    std::map<std::string, std::vector<std::pair<std::uint32_t, std::uint32_t>>> groups(
        std::uint32_t node);
    std::size_t room = std::size_t{1} << 20u;

  private:
    struct Submission {
        base::Buffer payload;
        bool urgent = false;
        protocol::Incarnation incarnation{};
    };
    struct Node {
        cpg::Core core;
        protocol::Incarnation incarnation{};
        protocol::View view{};
        std::vector<protocol::Event> events{};  // Of this attachment: cursor 1 first.
        std::size_t delivered = 0;              // To the core.
        std::deque<Submission> submissions{};
        bool is_up = true;
        ViewTag tag{};  // Of the view that the core is in.
    };

    void step(NodeId node, const cpg::Event& event);
    void flush(NodeId node);
    void carry_out(NodeId node, std::vector<cpg::Action>& actions);
    void to_client(cpg::ConnectionId connection, const protocol::cpg::CpgdFrame& frame);
    void from_client(ToyClient& client, const support::CpgClient::Frames& frames);
    void push(Node& node,
              std::variant<protocol::Transitional, protocol::View, protocol::Batch> what);
    Submission take(Node& node);
    void forget_later_tags(NodeId id);

    cpg::Config config_;
    base::Instant now_{};
    std::map<NodeId, Node> nodes_;
    std::deque<ToyClient> clients_;
    std::uint64_t next_ring_ = 1;
    std::uint64_t next_id_ = 1;
    std::uint64_t next_connection_ = 1;
    // By session and event: the view in which its node made it.
    std::map<std::pair<NodeId, cpg::SessionId>, std::map<std::uint64_t, ViewTag>> tags_;
    CpgChecker checker_;
};

}  // namespace cpg_test
