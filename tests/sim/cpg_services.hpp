// Stream, cpgd and programs in groups on every node of a simulated cluster, and what happens to
// them: killed, stopped, slow, disconnected. The judge knows the rules of closed process groups.
#pragma once

#include <deque>
#include <string>

#include "tests/sim/cpg_node.hpp"
#include "tests/sim/random.hpp"
#include "tests/sim/services.hpp"

namespace sim {

// Sees what cpgd's core wants before it is done and what the ring tells it, and may change it: how
// planted faults get in. Either may be empty.
struct CpgTamper {
    std::function<void(NodeIndex, std::vector<cpg::Action>&)> actions{};
    std::function<void(NodeIndex, base::NodeId self, protocol::Event&)> events{};
};

class CpgServices final : public Services {
  public:
    CpgServices(const Plan& plan, Stage& stage, CpgTamper tamper = {});

    void started(NodeIndex node) override;
    void ended(NodeIndex node, bool with_host) override;
    void begin_turn(NodeIndex node) override;
    void installed(NodeIndex node, const totem::InstallConfiguration& what) override;
    void delivered(NodeIndex node, const totem::Deliver& what) override;
    void taken(NodeIndex node, const totem::Taken& what) override;
    void take_submissions(NodeIndex node, std::size_t room,
                          std::vector<totem::Submitted>& submissions) override;
    void end_turn(NodeIndex node) override;
    [[nodiscard]] std::optional<base::Instant> next_deadline(NodeIndex node) const override;
    void archive_and_restore(NodeIndex node) override;
    void begin() override;
    void calm_down() override;
    void send_once_more() override;
    [[nodiscard]] bool is_at_rest() const override;
    void judge(Report& report, std::size_t entry) override;

  private:
    // Between processes (cpg_services.cpp).
    void pass(Pipe& pipe, std::function<void()> what);
    void to_ringd(CpgNode& node, const base::Buffer& head, const base::Buffer& payload = {});
    void to_cpgd(CpgNode& node, CpgdInput input);

    // cpgd (cpg_services_cpgd.cpp).
    void start_cpgd(CpgNode& node);
    void end_cpgd(CpgNode& node);
    void connect(CpgNode& node);
    void wake_cpgd(CpgNode& node);
    void turn(CpgNode& node);
    void take(CpgNode& node, FromRing& from);
    void on(CpgNode& node, const protocol::Attached& attached);
    void on(CpgNode& node, const protocol::Refused& refused);
    void on(CpgNode& node, const protocol::Taken& taken);
    void on(CpgNode& node, protocol::Event& event);
    void on(CpgNode& node, const protocol::BatchInArea& batch);
    void lost_ring(CpgNode& node);
    void step(CpgNode& node, const cpg::Event& event);
    void carry_out(CpgNode& node);
    void send_submissions(CpgNode& node);
    void store(CpgNode& node, bool is_last = false);
    void store_draft(CpgNode& node);
    void keep(CpgNode& node, std::span<const base::Buffer> snapshot, protocol::Cursor applied);
    void tag_events(CpgNode& node);

    // Programs (cpg_services_programs.cpp).
    CpgProgram& start_program(NodeIndex node);
    void connect(CpgProgram& program);
    void connect_later(CpgProgram& program);
    void disconnect(CpgProgram& program);
    void kill(CpgProgram& program);
    void take(CpgProgram& program, const protocol::cpg::CpgdFrame& frame);
    void to_cpgd(CpgProgram& program, const support::CpgClient::Frames& frames);
    void hung_up(CpgProgram& program, cpg::ConnectionId connection);
    void act();
    void act_on_program(CpgProgram& program, std::uint64_t choice);
    void act_on_node(CpgNode& node, std::uint64_t choice);
    [[nodiscard]] bool is_at_rest(const CpgNode& node) const;
    [[nodiscard]] bool is_at_rest(const CpgProgram& program) const;
    [[nodiscard]] std::string state_of(const CpgNode& node) const;
    [[nodiscard]] std::vector<std::string> groups_of(const CpgNode& node) const;

    Stage& stage_;
    CpgTamper tamper_;
    Random random_;
    cpg::Config config_;
    stream::SwitchConfig stream_config_;  // Without self.
    base::Duration delay_max_{};
    std::deque<CpgNode> nodes_;
    std::deque<CpgProgram> programs_;
    support::CpgChecker checker_;
    std::uint64_t next_id_ = 1;  // Of connections, sessions, incarnations and lives.
    std::uint64_t in_pipes_ = 0;
    std::uint32_t next_pid_ = 100;
    bool is_calm_ = false;
};

}  // namespace sim
