// Whom one node hears: a line of the matrix from which all compute the same partition.
#pragma once

#include <cstdint>

#include "common/base/ids.hpp"
#include "ringd/totem/node_set.hpp"

namespace totem {

struct Row {
    base::NodeId node{};
    std::uint64_t incarnation = 0;  // Drawn anew at each start of the node's ringd.
    std::uint64_t version = 0;      // Grows with each change, within one incarnation.
    NodeSet hears{};                // With itself.

    friend bool operator==(const Row&, const Row&) = default;
};

}  // namespace totem
