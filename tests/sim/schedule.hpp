// What will happen, by time; what happens at one time happens in the order it was planned.
#pragma once

#include <algorithm>
#include <functional>
#include <variant>
#include <vector>

#include "common/base/buffer.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/process.hpp"

namespace sim {

// A packet reaches the host of `to`.
struct Arrival {
    NodeIndex from = 0;
    NodeIndex to = 0;
    totem::LinkId link{};
    base::Buffer packet;
};
// The loop of this process turns.
struct Turn {
    NodeIndex node = 0;
};
// An event for a process comes from its own host. Dropped if that process is gone.
struct Tell {
    NodeIndex node = 0;
    std::uint32_t life = 0;
    totem::Event event;
};
struct DiskDone {
    NodeIndex node = 0;
    std::uint32_t life = 0;
    base::RingId ring{};
};
struct Work {
    NodeIndex node = 0;
};
struct Begin {
    std::size_t fault = 0;
};
struct End {
    std::size_t fault = 0;
};
// A torn crash finds no step to tear within its time.
struct Give {
    NodeIndex node = 0;
    std::uint32_t life = 0;
};

// Of the services.
struct Call {
    std::function<void()> what;
};

using Happening = std::variant<Arrival, Turn, Tell, DiskDone, Work, Begin, End, Give, Call>;

class Schedule {
  public:
    void at(base::Instant when, Happening what) {
        heap_.push_back({when, next_++, std::move(what)});
        std::ranges::push_heap(heap_, later);
    }
    [[nodiscard]] bool empty() const { return heap_.empty(); }
    // Needs: not empty.
    [[nodiscard]] base::Instant next() const { return heap_.front().when; }
    Happening take() {
        std::ranges::pop_heap(heap_, later);
        Happening what = std::move(heap_.back().what);
        heap_.pop_back();
        return what;
    }

  private:
    struct Planned {
        base::Instant when{};
        std::uint64_t order = 0;
        Happening what;
    };
    static bool later(const Planned& a, const Planned& b) {
        return std::tie(a.when, a.order) > std::tie(b.when, b.order);
    }

    std::vector<Planned> heap_;
    std::uint64_t next_ = 0;
};

}  // namespace sim
