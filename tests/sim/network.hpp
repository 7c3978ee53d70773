// All paths between all nodes: which packets arrive, when, how often.
#pragma once

#include <vector>

#include "tests/sim/plan.hpp"
#include "tests/sim/random.hpp"

namespace sim {

struct Address {
    NodeIndex from = 0;
    NodeIndex to = 0;
    std::size_t link = 0;
};

class Network {
  public:
    explicit Network(const Plan& plan);

    // Appends when copies of a packet sent now arrive; nothing: it is lost.
    void send(base::Instant now, const Address& address, std::size_t bytes,
              std::vector<base::Instant>& arrivals);

    void begin(const Cut& cut) { add(cut.paths, 1); }
    void end(const Cut& cut) { add(cut.paths, -1); }
    void begin(const Degrade& degrade);
    void end(const Degrade& degrade);
    void begin(const LinkDown& down) { add(down, 1); }
    void end(const LinkDown& down) { add(down, -1); }

    // From now on paths neither lose nor repeat nor reorder by themselves.
    void calm_down() { calm_ = true; }

    // No link carries anything in this direction.
    [[nodiscard]] bool is_cut(NodeIndex from, NodeIndex to) const;

  private:
    struct Path {
        int cuts = 0;
        base::Instant last_arrival{};
        base::Instant busy_until{};
    };
    // What base rules and degradations come to.
    struct Rules {
        Ppm loss = 0;
        Ppm duplicates = 0;
        Ppm reorders = 0;
        base::Duration delay{};
        std::uint64_t bytes_per_second = 0;
    };

    [[nodiscard]] Path& path(const Address& address);
    [[nodiscard]] Rules rules(const Address& address) const;
    void add(const Paths& paths, int cuts);
    void add(const LinkDown& down, int cuts);
    base::Instant draw_arrival(base::Instant sent, const Rules& rules, Path& path);

    const Plan& plan_;
    Random random_;
    bool calm_ = false;
    std::vector<Path> paths_;
    std::vector<Degrade> degradations_;
};

}  // namespace sim
