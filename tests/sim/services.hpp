// What runs on the nodes above totem::Ring, as the cluster sees it. Without it the hosts'
// applications send messages for their own sake.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ringd/totem/actions.hpp"
#include "ringd/totem/events.hpp"
#include "tests/sim/checkers/report.hpp"
#include "tests/sim/plan.hpp"

namespace sim {

// What the cluster gives to them.
class Stage {
  public:
    Stage() = default;
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
    Stage(Stage&&) = delete;
    Stage& operator=(Stage&&) = delete;
    virtual ~Stage() = default;

    [[nodiscard]] virtual base::Instant now() const = 0;
    virtual void at(base::Instant when, std::function<void()> what) = 0;
    // ringd's loop on this node has something to do, as when a packet came.
    virtual void wake(NodeIndex node) = 0;
    virtual void say(NodeIndex node, std::string text) = 0;  // Into the trace.
};

class Services {
  public:
    Services() = default;
    Services(const Services&) = delete;
    Services& operator=(const Services&) = delete;
    Services(Services&&) = delete;
    Services& operator=(Services&&) = delete;
    virtual ~Services() = default;

    // ---- ringd's process
    virtual void started(NodeIndex node) = 0;
    virtual void ended(NodeIndex node, bool with_host) = 0;  // The host: all its processes.

    // ---- in its turn: first begin_turn, then what the ring wants, then submissions, then end_turn
    virtual void begin_turn(NodeIndex node) = 0;
    virtual void installed(NodeIndex node, const totem::InstallConfiguration& what) = 0;
    virtual void delivered(NodeIndex node, const totem::Deliver& what) = 0;
    virtual void taken(NodeIndex node, const totem::Taken& what) = 0;
    virtual void take_submissions(NodeIndex node, std::size_t room,
                                  std::vector<totem::Submitted>& submissions) = 0;
    virtual void end_turn(NodeIndex node) = 0;
    [[nodiscard]] virtual std::optional<base::Instant> next_deadline(NodeIndex node) const = 0;
    virtual void archive_and_restore(NodeIndex node) = 0;  // Not in the middle of a turn.

    // ---- the course of the run
    virtual void begin() = 0;
    virtual void calm_down() = 0;  // No more faults of theirs; what was down comes up.
    virtual void send_once_more() = 0;
    [[nodiscard]] virtual bool is_at_rest() const = 0;
    virtual void judge(Report& report, std::size_t entry) = 0;
};

using MakeServices = std::function<std::unique_ptr<Services>(const Plan&, Stage&)>;

}  // namespace sim
