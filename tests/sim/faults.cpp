#include "tests/sim/faults.hpp"

namespace sim {
namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
    using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

std::string set_text(NodeSet set) {
    std::string text;
    for (NodeIndex i = 0; i < kNodesMax; ++i) {
        if ((set >> i & 1u) != 0) text += (text.empty() ? "" : ",") + std::to_string(i);
    }
    return text;
}

std::string paths_text(const Paths& paths) {
    return set_text(paths.from) + ">" + set_text(paths.to) +
           (paths.links == kAllLinks ? "" : " links " + std::to_string(paths.links));
}

std::string milliseconds(base::Duration duration) {
    return std::to_string(duration.count() / 1'000'000) + " ms";
}

std::string crash_text(const Crash& crash) {
    return "crash " + std::to_string(crash.node) +
           (crash.host == Crash::Host::Down ? ", host down" : "") +
           (crash.disk == Crash::Disk::Lost ? ", disk lost" : "") + (crash.torn ? ", torn" : "") +
           (crash.obituary ? ", obituary" : "");
}

std::string degrade_text(const Degrade& degrade) {
    return "degrade " + paths_text(degrade.paths) + " loss " + std::to_string(degrade.loss) +
           " duplicates " + std::to_string(degrade.duplicates) + " reorders " +
           std::to_string(degrade.reorders) + " ppm, delay " + milliseconds(degrade.delay) + ", " +
           std::to_string(degrade.bytes_per_second) + " B/s";
}

}  // namespace

std::string to_text(const Fault& fault) {
    const std::string what = std::visit(
        Overloaded{
            [](const Cut& it) { return "cut " + paths_text(it.paths); },
            [](const Degrade& it) { return degrade_text(it); },
            [](const Pause& it) { return "pause " + std::to_string(it.node); },
            [](const Crash& it) { return crash_text(it); },
            [](const Leave& it) { return "leave " + std::to_string(it.node); },
            [](const SlowDisk& it) {
                return "slow disk " + std::to_string(it.node) + " by " + milliseconds(it.delay);
            },
            [](const SlowNode& it) {
                return "slow node " + std::to_string(it.node) + " by " + milliseconds(it.latency);
            },
            [](const LinkDown& it) {
                return "link down " + std::to_string(it.node) + " link " +
                       std::to_string(it.link.value());
            },
            [](const Unconfigure& it) { return "unconfigure " + std::to_string(it.node); },
            [](const Retime& it) {
                return "times " + std::to_string(it.percent) + " %, heartbeats " +
                       std::to_string(it.heartbeat_percent) + " %";
            },
            [](const SmallPackets& it) {
                return "packets of " + std::to_string(it.packet_bytes_max) + " B";
            },
            [](const FalseAlarm& it) {
                return "false alarm at " + std::to_string(it.at) + " about " +
                       std::to_string(it.about);
            },
            [](const Flood& it) {
                return "flood by " + std::to_string(it.node) + " of " +
                       std::to_string(it.messages) + " x " + std::to_string(it.size) + " B";
            },
            [](const Kill& it) {
                static constexpr const char* kPoints[] = {"appended", "stepped", "committed",
                                                          "acting", "done"};
                return "kill " + std::to_string(it.node) + ", " +
                       kPoints[static_cast<std::size_t>(it.point)];
            },
        },
        fault.what);
    return what + " at " + milliseconds(fault.begin) + " for " + milliseconds(fault.length);
}

}  // namespace sim
