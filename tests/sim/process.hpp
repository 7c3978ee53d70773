// Names in a simulated cluster: one run of a daemon, and one message it sent.
#pragma once

#include <compare>
#include <cstdint>

#include "common/base/ids.hpp"

namespace sim {

// One run of ringd on a node. A restart is a new process with the next life; the first is 1.
struct Process {
    base::NodeId node{};
    std::uint32_t life = 0;

    friend constexpr auto operator<=>(const Process&, const Process&) = default;
};

// The `number`-th submission of a process.
struct MessageId {
    Process sender;
    std::uint64_t number = 0;

    friend constexpr auto operator<=>(const MessageId&, const MessageId&) = default;
};

}  // namespace sim
