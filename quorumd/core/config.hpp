// What quorumd's core is told by the configuration.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/base/instant.hpp"
#include "quorumd/core/message.hpp"

namespace quorum {

struct Config {
    bool is_free = false;  // No provider: every partition is quorate.
    std::uint32_t votes = 1;
    Options options{};
    bool tracks_expected_votes = false;
    base::Duration last_man_standing_window = std::chrono::seconds{10};
    base::Duration device_timeout = std::chrono::seconds{10};
    base::Duration device_sync_timeout = std::chrono::seconds{30};
    // How much longer than the arbiter a node may take to notice that they are cut from each other:
    // corosync-qdevice beats every 0.8 timeouts and waits for one answer, corosync-qnetd for 1.5
    // beats since the last.
    [[nodiscard]] base::Duration device_takeover() const { return device_timeout * 12 / 10; }
    base::Duration lease = std::chrono::seconds{9};
    base::Duration renewal = std::chrono::seconds{1};
};

// How long a member of a cluster with this lease may be without a renewal. Each is a message of
// every member to all, and most of what an idle cluster does beside its heartbeats: a sixth of the
// lease, of which 2 s are there for a renewal and its way. With the default times the lease grows
// with the number of nodes, and a twentieth of it is more than 1.6 s from 16 nodes on.
[[nodiscard]] constexpr base::Duration renewal_of(base::Duration lease) {
    const base::Duration least = std::chrono::seconds{1};
    const base::Duration usual = std::chrono::milliseconds{1600};
    return std::clamp(lease / 6, least, std::max(usual, lease / 20));
}

}  // namespace quorum
