// A trace told process by process: which configurations each went through, and what it delivered
// in each. The checkers work on this.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/sim/checkers/report.hpp"
#include "tests/sim/trace.hpp"

namespace sim {

// Place of an item in the order of one ring.
struct Position {
    totem::Seq seq{};
    std::uint32_t index = 0;

    friend constexpr auto operator<=>(const Position&, const Position&) = default;
};

struct Delivery {
    Position position;
    MessageId message;
    base::NodeId sender{};
    bool safe = false;
    std::size_t entry = 0;  // Index in the trace, here and below.
};

struct Transition {
    base::RingId next{};
    base::RingId previous{};
    std::vector<base::NodeId> members;
    std::size_t entry = 0;
};

// com(ring) at one process: from the regular configuration to the next regular one.
struct Stay {
    base::RingId ring{};
    base::RingId previous{};
    std::vector<base::NodeId> members;
    std::size_t entry = 0;
    std::vector<Delivery> in_regular;
    std::optional<Transition> transition;
    std::vector<Delivery> in_transitional;
    std::optional<base::RingId> next;  // The regular configuration that ended it.

    [[nodiscard]] bool delivered(Position position) const;
};

struct Submission {
    Sent sent;
    std::size_t entry = 0;
};

struct Life {
    Process who;
    std::size_t started = 0;
    base::RingId durable{};
    std::optional<std::size_t> ended;
    std::vector<Stay> stays;
    std::vector<Submission> submissions;  // By number - 1.
    std::vector<std::pair<base::RingId, std::size_t>> stored;

    [[nodiscard]] const Stay* stay_in(base::RingId ring) const;
    [[nodiscard]] const Submission* submission(std::uint64_t number) const;
    // Before that entry, the id itself or a higher one: what is stored is a bound.
    [[nodiscard]] bool has_stored(base::RingId ring, std::size_t before) const;
};

struct History {
    const Trace* trace = nullptr;
    std::vector<Life> lives;  // By process.

    [[nodiscard]] const Life* find(Process who) const;
    // The life of `node` that took part in `ring`: installed it, or at least may have.
    [[nodiscard]] const Life* participant(base::NodeId node, base::RingId ring) const;
};

// Reports what does not fit the form regular, transitional, regular, … (B4, C3).
[[nodiscard]] History tell(const Trace& trace, Report& report);

}  // namespace sim
