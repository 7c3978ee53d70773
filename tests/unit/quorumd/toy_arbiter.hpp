// A quorum device over a ToyCluster: on each node a program as corosync-qdevice, and the arbiter
// that they ask, as corosync-qnetd with its algorithm ffsplit. Model of the connections: a cut is
// noticed by the node after up to two of its heartbeats, by the arbiter after half to one and a
// half; until then either acts on what it heard last.
//
// Source: corosync-qdevice(8), corosync-qnetd(8).
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "tests/unit/quorumd/toy_cluster.hpp"

namespace quorum_test {

class ToyArbiter {
  public:
    // `timeout`: quorum.device.timeout.
    ToyArbiter(ToyCluster& cluster, base::Duration timeout, std::uint64_t seed);

    // After each tick of the cluster.
    void tick();

    void cut(std::uint32_t node);
    void mend(std::uint32_t node);
    void mend_all();
    // The node's program is killed: its quorumd and the arbiter notice at once.
    void kill_program(std::uint32_t node);
    void start_program(std::uint32_t node);

  private:
    enum class Vote : std::uint8_t { None, No, Yes };
    struct Report {
        base::RingId ring{};
        std::vector<base::NodeId> members;

        friend bool operator==(const Report&, const Report&) = default;
    };
    struct Program {
        bool runs = true;
        bool is_cut = false;
        bool node_connected = false;     // As the node's program believes.
        bool arbiter_connected = false;  // As the arbiter does.
        base::Instant node_notices{};
        base::Instant arbiter_notices{};
        base::Instant reconnects{};
        std::optional<Report> reported{};  // To the arbiter.
        std::optional<Report> answered{};  // For which `vote` was given.
        Vote vote = Vote::None;
        Vote wanted = Vote::None;  // On the way from the arbiter.
        base::Instant next_poll{};
    };

    void tick_connection(std::uint32_t id, Program& program);
    void tick_program(std::uint32_t id, Program& program);
    void decide();
    void poll(std::uint32_t id, Program& program);
    [[nodiscard]] std::optional<Report> report_of(std::uint32_t id) const;
    [[nodiscard]] bool is_consistent() const;
    base::Duration some(base::Duration least, base::Duration most);

    ToyCluster& cluster_;
    base::Duration timeout_;
    base::Duration heartbeat_;
    base::Prng random_;
    std::map<std::uint32_t, Program> programs_;
};

}  // namespace quorum_test
