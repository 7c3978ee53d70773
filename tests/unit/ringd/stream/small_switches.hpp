// Nodes whose Switches have small bounds, and what their services saw.
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "tests/unit/ringd/stream/toy_cluster.hpp"

namespace stream::test {

inline SwitchConfig small() {
    return {.self = base::NodeId{1},
            .window_bytes = 1000,
            .retention_bytes_max = 16'000,
            .retention_bytes_hard = 40'000,
            .in_flight_bytes_max = 2000,
            .grace = std::chrono::seconds(10),
            .stall_max = std::chrono::seconds(5)};
}

inline void check_rules(const ToyCluster& cluster) {
    const auto broken = broken_rule(cluster.lives());
    CHECK_MESSAGE(!broken, broken.value_or(""));
}

inline std::vector<std::uint64_t> numbers_from(const LifeRecord& life, std::uint32_t sender) {
    std::vector<std::uint64_t> numbers;
    for (const protocol::Event& event : life.events) {
        const auto* batch = std::get_if<protocol::Batch>(&event.what);
        if (batch != nullptr && batch->sender.value() == sender) numbers.push_back(batch->number);
    }
    return numbers;
}

inline const protocol::View* last_view(const LifeRecord& life) {
    const protocol::View* last = nullptr;
    for (const protocol::Event& event : life.events) {
        if (const auto* view = std::get_if<protocol::View>(&event.what)) last = view;
    }
    return last;
}

inline std::vector<std::uint32_t> members_of(const LifeRecord& life) {
    std::vector<std::uint32_t> nodes;
    const protocol::View* view = last_view(life);
    if (view == nullptr) return nodes;
    for (const protocol::ViewMember& member : view->members) {
        nodes.push_back(member.node.value());
    }
    return nodes;
}

using Nodes = std::vector<std::uint32_t>;
using Items = std::vector<std::uint64_t>;

// Nodes 1 to `nodes` in one ring, with a service on channel "a" each, and some more alone.
inline ToyCluster formed(std::uint32_t nodes, std::uint32_t more = 0) {
    ToyCluster cluster(nodes + more, small(), 1);
    Nodes all;
    for (std::uint32_t id = 1; id <= nodes; ++id) {
        all.push_back(id);
        cluster.connect(cluster.service(id, "a"));
    }
    cluster.form_rings({all});
    cluster.settle();
    return cluster;
}

}  // namespace stream::test
