// A whole cluster in one process on logical time: hosts, network, faults and applications of one
// plan. What happens goes into the trace.
#pragma once

#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "tests/sim/host.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/schedule.hpp"
#include "tests/sim/services.hpp"
#include "tests/sim/trace.hpp"
#include "tests/sim/wire.hpp"

namespace sim {

// Sees what a step wants before it is done, and may change it: how planted faults get in.
using Tamper = std::function<void(Process, std::vector<totem::Action>&)>;

class Cluster : private Stage {
  public:
    Cluster(const Plan& plan, Trace& trace, Tamper tamper = {}, const MakeServices& services = {});

    // Chaos; one phase of partial connectivity if the plan has it; then all is well, and every
    // node sends once more.
    void run();

    // After it: what they think of it.
    void judge_services(Report& report);

  private:
    // For the services (cluster.cpp).
    [[nodiscard]] base::Instant now() const override { return now_; }
    void at(base::Instant when, std::function<void()> what) override;
    void wake(NodeIndex node) override;
    void say(NodeIndex node, std::string text) override;
    void run_services();

    // The course of the run (cluster.cpp).
    void run_until(base::Instant end);
    void run_phase();
    [[nodiscard]] bool is_settled() const;
    void begin_phase();
    void send_once_more();
    [[nodiscard]] bool is_drained() const;
    [[nodiscard]] std::uint64_t deliveries() const;

    // What happens.
    void on(Arrival& arrival);
    void on(Turn& turn);
    void on(Tell& tell);
    void on(DiskDone& done);
    void on(Work& work);
    void on(Begin& begin);
    void on(End& end);
    void on(Give& give);
    void on(Call& call);

    // Processes (cluster_process.cpp).
    void start(Host& host);
    void stop(Host& host, Ended::How how);
    void turn(Host& host);
    bool step_packets(Host& host);
    // The next event of what came, and how many packets are in it. Needs: some came.
    std::pair<totem::Event, std::size_t> take_packets(Host& host, std::size_t most);
    void step_requests(Host& host);
    bool step_services(Host& host);
    void archive_and_restore(Host& host);
    // False: the process died in it.
    bool step(Host& host, const totem::Event& event);
    bool act(Host& host);
    void act(Host& host, const totem::SendTo& action);
    void act(Host& host, const totem::SendToAll& action);
    void act(Host& host, const totem::SetAudience& action);
    void act(Host& host, const totem::UseLink& action);
    void act(Host& host, const totem::KeepLifelines& action);
    void act(Host& host, const totem::StoreRing& action);
    void act(Host& host, const totem::Deliver& action);
    void act(Host& host, const totem::InstallConfiguration& action);
    void act(Host& host, const totem::Taken& action);
    void act(Host& host, const totem::Left& action);
    void send(Host& host, base::NodeId to, std::optional<totem::LinkId> link,
              const base::Buffer& packet);
    void send_on(Host& host, NodeIndex to, std::size_t link, const base::Buffer& packet);
    void turn_within(Host& host, base::Duration delay);
    void schedule_turn(Host& host, base::Instant at);
    [[nodiscard]] std::vector<totem::Peer> peers_of(const Host& host) const;

    // Lifelines (cluster_lifelines.cpp).
    void make_lifelines(const Host& host);
    void make_lifeline(NodeIndex one, NodeIndex other);
    // The host's kernel ends those of its process, or cannot.
    void end_lifelines(Host& host);
    void hang_up(Host& host, Host& about);

    // Processes that are killed and go on (cluster_resume.cpp).
    bool step_recorded(Host& host, const totem::Event& event);
    bool record(Host& host, const totem::Event& event);
    bool act_recorded(Host& host);
    bool is_killed_at(Host& host, Kill::Point point);
    void go_on(Host& host);
    [[nodiscard]] totem::RingConfig settings_of(const Host& host) const;

    // Faults (cluster_faults.cpp).
    void begin(const Cut& cut);
    void begin(const Degrade& degrade);
    void begin(const Pause& pause);
    void begin(const Crash& crash);
    void begin(const Leave& leave);
    void begin(const SlowDisk& slow);
    void begin(const SlowNode& slow);
    void begin(const LinkDown& down);
    void begin(const Unconfigure& unconfigure);
    void begin(const Retime& retime);
    void begin(const SmallPackets& small);
    void begin(const FalseAlarm& alarm);
    void begin(const Flood& flood);
    void begin(const Kill& kill);
    void end(const Cut& cut);
    void end(const Degrade& degrade);
    void end(const Pause& pause);
    void end(const Crash& crash);
    void end(const Leave& leave);
    void end(const SlowDisk& slow);
    void end(const SlowNode& slow);
    void end(const LinkDown& down);
    void end(const Unconfigure& unconfigure);
    void end(const Retime& retime);
    void end(const SmallPackets& small);
    void end(const FalseAlarm& alarm);
    void end(const Flood& flood);
    void end(const Kill& kill);
    void release(Host& host);
    void die(Host& host);
    void tell_later(Host& host, const totem::Event& event, base::Duration within);
    void tell_path_size(std::size_t packet_bytes_max);
    void configure(Host& about, bool known);
    void tell_settings(const totem::RingSettings& settings);

    void note(Process who, What what) { trace_.push_back({now_, who, std::move(what)}); }
    [[nodiscard]] NodeIndex index_of(base::NodeId node) const;

    const Plan& plan_;
    totem::RingSettings settings_;  // Of the configuration file, by now.
    Trace& trace_;
    WireTap tap_;
    Tamper tamper_;
    base::Instant now_;
    Schedule schedule_;
    Network network_;
    Random random_;       // Latencies, evidence, what a crash tears.
    Random application_;  // What is sent.
    Random archivist_;    // When a core is put into bytes and back.
    Random lifeliner_;    // When lifelines are made, and end for nothing.
    std::set<std::pair<NodeIndex, NodeIndex>> lifelines_;  // The lower first.
    std::vector<Host> hosts_;
    std::vector<totem::Action> actions_;
    std::vector<base::Instant> arrivals_;
    base::Instant last_change_;  // The last configuration anybody installed.
    base::Instant work_until_;
    bool gave_up_ = false;
    std::unique_ptr<Services> services_;
    bool services_rested_ = false;
};

}  // namespace sim
