// Who watches whom in a ring of many.
#include "ringd/totem/watch.hpp"

#include <doctest/doctest.h>

#include <map>

using base::NodeId;
using totem::NodeSet;

namespace {

NodeSet ring_of_size(std::uint32_t size) {
    NodeSet members;
    for (std::uint32_t i = 1; i <= size; ++i)
        members.insert(NodeId{3 * i});
    return members;
}

}  // namespace

TEST_CASE("a few members watch each other, all of them") {
    for (const std::uint32_t size : {1u, 2u, 5u, 8u}) {
        const NodeSet members = ring_of_size(size);
        for (const NodeId self : members)
            CHECK(totem::near_members(members, self) == members.without(self));
    }
}

TEST_CASE("in a larger ring each has four watchers, the next on the token's way among them") {
    for (const std::uint32_t size : {9u, 16u, 33u, 64u, 512u}) {
        const NodeSet members = ring_of_size(size);
        std::map<NodeId, int> watchers;
        for (const NodeId self : members) {
            const NodeSet near = totem::near_members(members, self);
            CHECK(near.contains(members.after(self)));
            CHECK_FALSE(near.contains(self));
            for (const NodeId node : near)
                ++watchers[node];
        }
        for (const NodeId node : members)
            CHECK(watchers[node] == 4);
    }
}

TEST_CASE("a lifeline is with whom one beats and with who beats one, and both agree") {
    for (const std::uint32_t size : {1u, 2u, 8u, 9u, 16u, 33u, 64u}) {
        const NodeSet members = ring_of_size(size);
        for (const NodeId self : members) {
            const NodeSet lifelines = totem::lifeline_members(members, self);
            for (const NodeId node : members.without(self)) {
                const bool beats = totem::near_members(members, self).contains(node);
                const bool is_beaten = totem::near_members(members, node).contains(self);
                CHECK(lifelines.contains(node) == (beats || is_beaten));
            }
            CHECK_FALSE(lifelines.contains(self));
        }
    }
}
