// A failure detector, its peer and the time, for the tests of it.
#pragma once

#include <algorithm>
#include <vector>

#include "ringd/totem/failure_detector.hpp"

namespace detector_world {

using base::NodeId;
using std::chrono::milliseconds;
using totem::Duration;
using totem::FailureDetector;
using totem::Instant;
using totem::LinkId;

inline constexpr NodeId kPeer{2};
inline constexpr LinkId kLink{0};

inline totem::RingConfig config(std::size_t links = 1) {
    totem::RingConfig out;
    out.self = NodeId{1};
    totem::Peer peer{.node = kPeer, .links = {}};
    for (std::size_t i = 0; i < links; ++i) {
        peer.links.push_back(LinkId{static_cast<std::uint8_t>(i)});
    }
    out.peers = {peer};
    return out;
}

inline totem::Heartbeat heartbeat(std::uint64_t incarnation = 1) {
    return {.ring = {},
            .row = {.node = kPeer,
                    .incarnation = {.ring_seq = incarnation},
                    .version = 1,
                    .hears = {kPeer}},
            .sent_ns = 1};
}

struct World {
    explicit World(std::size_t links = 1) : detector(config(links), now) {}

    std::vector<FailureDetector::Beat> wait(Duration length) {
        std::vector<FailureDetector::Beat> beats;
        for (const Instant end = now + length; now < end;) {
            now = std::min(end, std::max(now, detector.next_tick()));
            detector.tick(now, beats);
        }
        return beats;
    }
    void beat(LinkId link = kLink, std::uint64_t incarnation = 1) {
        detector.heartbeat_arrived(kPeer, link, heartbeat(incarnation), now);
    }
    [[nodiscard]] bool heard() const { return detector.hears(kPeer, now); }

    Instant now{milliseconds(1000)};
    FailureDetector detector;
};

}  // namespace detector_world
