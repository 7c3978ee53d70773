// Which peers a multicast group reaches. A switch may lose what is multicast without a word (no
// IGMP querier, a smaller group in an InfiniBand subnet), so the group counts only for those who
// answer what was sent to it; everybody else is sent to on his own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/instant.hpp"

namespace transport {

// Fewer than these are served as well one by one, without the echo.
inline constexpr std::size_t kGroupMembersMin = 2;

class GroupReach {
  public:
    // A peer that missed this many probes in a row is taken for not reached.
    static constexpr std::uint32_t kMissesMax = 3;

    // Those that stay keep their state; new ones are not reached.
    void set_peers(const std::vector<base::NodeId>& peers);

    // The group is gone or new: nobody is reached.
    void reset();

    // When to send a probe to the group; call begin_round then.
    [[nodiscard]] base::Instant due() const { return due_; }
    void begin_round(base::Instant now);
    void answered(base::NodeId peer);

    [[nodiscard]] bool reaches(base::NodeId peer) const;

  private:
    struct State {
        bool is_reached = false;
        bool has_answered = false;  // In this round.
        std::uint32_t misses = 0;
    };
    std::map<base::NodeId, State> peers_;
    base::Instant due_{};
};

}  // namespace transport
