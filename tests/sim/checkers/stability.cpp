// Safe delivery on the wire (totem D7): in a regular configuration nothing safe is delivered before
// each member holds it and all below it.
#include <algorithm>
#include <map>
#include <set>

#include "tests/sim/checkers/checkers.hpp"

namespace sim {
namespace {

// What one process has of one ring.
class Held {
  public:
    void add(std::uint64_t seq) {
        if (seq <= contiguous_) return;
        beyond_.insert(seq);
        while (!beyond_.empty() && *beyond_.begin() == contiguous_ + 1) {
            beyond_.erase(beyond_.begin());
            ++contiguous_;
        }
    }
    [[nodiscard]] std::uint64_t contiguous() const { return contiguous_; }

  private:
    std::uint64_t contiguous_ = 0;
    std::set<std::uint64_t> beyond_;
};

class Stability {
  public:
    Stability(const History& history, Report& report) : history_(history), report_(report) {}

    void check() {
        const Trace& trace = *history_.trace;
        for (std::size_t entry = 0; entry < trace.size(); ++entry) {
            const base::NodeId node = trace[entry].who.node;
            const What& what = trace[entry].what;
            if (const auto* sent = std::get_if<DataSent>(&what)) {
                held_[{sent->ring, node}].add(sent->seq.value());
                on_wire_ = true;
            } else if (const auto* received = std::get_if<DataReceived>(&what)) {
                held_[{received->ring, node}].add(received->seq.value());
            } else if (const auto* installed = std::get_if<Installed>(&what)) {
                current_[trace[entry].who] = &installed->configuration;
            } else if (const auto* delivered = std::get_if<Delivered>(&what)) {
                if (delivered->guarantee == totem::Guarantee::Safe) {
                    check(trace[entry].who, *delivered, entry);
                }
            }
        }
    }

  private:
    void check(Process who, const Delivered& delivered, std::size_t entry) {
        const auto at = current_.find(who);
        if (at == current_.end() || !on_wire_) return;
        const totem::InstallConfiguration& configuration = *at->second;
        if (configuration.kind != totem::InstallConfiguration::Kind::Regular) return;
        if (configuration.members.size() == 1) return;  // A ring of one need not send.
        for (const base::NodeId member : configuration.members) {
            if (held_[{delivered.ring, member}].contiguous() >= delivered.seq.value()) continue;
            report_.add("D7", entry,
                        "delivered as safe, and n" + std::to_string(member.value()) +
                            " holds only up to " +
                            std::to_string(held_[{delivered.ring, member}].contiguous()));
        }
    }

    const History& history_;
    Report& report_;
    std::map<std::pair<base::RingId, base::NodeId>, Held> held_;
    std::map<Process, const totem::InstallConfiguration*> current_;
    bool on_wire_ = false;  // The trace has packets at all: hand-made ones need not.
};

}  // namespace

void check_stability(const History& history, Report& report) {
    Stability(history, report).check();
}

}  // namespace sim
