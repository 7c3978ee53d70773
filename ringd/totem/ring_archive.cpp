// A member's state as bytes and back.
#include "common/base/archive.hpp"
#include "common/base/archive_shape.hpp"
#include "common/base/invariant.hpp"
#include "ringd/totem/ring.hpp"
#include "ringd/totem/watch.hpp"

namespace totem {

bool Ring::can_be_archived() const {
    return std::holds_alternative<Operational>(state_) && core_.leaving == Core::Leaving::No;
}

void Ring::archive_to(base::ArchiveWriter& writer) const {
    INVARIANT(can_be_archived());
    writer(core_.self, core_, std::get<Operational>(state_), rows_changed_, generation_seen_);
}

std::optional<Ring> Ring::restore(const RingConfig& config, base::ArchiveReader& reader) {
    Ring ring(Core{.config = config,
                   .self = config.self,
                   .detector = FailureDetector(config, Instant{}),
                   .connectivity = Connectivity(config.self, Incarnation{})});
    base::NodeId self{};
    Operational operational;
    reader(self, ring.core_, operational, ring.rows_changed_, ring.generation_seen_);
    const Core& core = ring.core_;
    const bool fits = reader.ok() && self == config.self && core.installed &&
                      core.installed->members.contains(self) &&
                      core.connectivity.own().node == self;
    if (!fits) return std::nullopt;
    ring.core_.stats.operational_since = core.now;
    ring.state_ = std::move(operational);
    return ring;
}

std::uint64_t Ring::layout() {
    RingConfig config;
    config.self = base::NodeId{1};
    const Ring ring(config, {}, 0, Instant{});
    base::ArchiveShape shape;
    shape(ring.core_.self, ring.core_, Operational{}, ring.rows_changed_, ring.generation_seen_);
    return shape.hash();
}

void Ring::tell_paths(std::vector<Action>& actions) const {
    if (core_.installed) {
        actions.emplace_back(
            SetAudience{.members = core_.installed->members.without(core_.self).nodes()});
        actions.emplace_back(
            KeepLifelines{.peers = lifeline_members(core_.installed->members, core_.self).nodes()});
    }
    for (const auto& [peer, link] : core_.told_links)
        actions.emplace_back(UseLink{.peer = peer, .link = link});
    // The process before may have ended while its disk was at it.
    if (core_.reserving > core_.stored) actions.emplace_back(StoreRing{.ring = core_.reserving});
}

}  // namespace totem
