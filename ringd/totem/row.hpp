// Whom one node hears: a line of the matrix from which all compute the same partition.
#pragma once

#include <compare>
#include <cstdint>

#include "common/base/ids.hpp"
#include "ringd/totem/node_set.hpp"

namespace totem {

// One run of a node's ringd. A later run is greater: it starts from a ring id that is at least as
// high, and at a later time unless the host was booted in between, which forms rings of its own.
struct Incarnation {
    std::uint64_t ring_seq = 0;    // Durable when the run began.
    std::uint64_t started_ns = 0;  // By the host's clock.

    template <class A>
    void archive(A& a) {
        a(ring_seq, started_ns);
    }

    friend constexpr auto operator<=>(const Incarnation&, const Incarnation&) = default;
};

struct Row {
    base::NodeId node{};
    Incarnation incarnation{};
    std::uint64_t version = 0;  // Grows with each change, within one incarnation.
    NodeSet hears{};            // With itself.

    template <class A>
    void archive(A& a) {
        a(node, incarnation, version, hears);
    }

    friend bool operator==(const Row&, const Row&) = default;
};

}  // namespace totem
