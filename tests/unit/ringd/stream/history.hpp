// What the services of a cluster saw, and the rules that must hold whatever happened.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/ring_api.hpp"

namespace stream::test {

// One life of a service: from its Attach to its end.
struct LifeRecord {
    base::NodeId node{};
    std::string channel;
    protocol::Incarnation incarnation{};
    std::vector<protocol::Event> events;  // As applied, over all reconnects.
    std::uint64_t submitted = 0;          // Highest number.
    std::uint64_t taken = 0;
    bool is_over = false;  // Refused, or it detached: from then on it heard nothing.
};

// The first rule that is broken, in words; nothing: all hold.
// - Cursors count 1, 2, 3, …; the first event is a View with the service itself in it.
// - A view has one name (ring, version) and the same members for all.
// - Lives that go together from one view to the next saw the same items between them.
// - An item is of a member of the view, and the items of each are in their order, none left out.
// - What was taken was delivered to who submitted it.
[[nodiscard]] std::optional<std::string> broken_rule(const std::vector<LifeRecord>& lives);

}  // namespace stream::test
