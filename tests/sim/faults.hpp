// What can go wrong, each a value with a begin and a length: a schedule is a list of them, in which
// any may overlap, and from which any can be left out.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "common/base/instant.hpp"
#include "ringd/totem/events.hpp"
#include "tests/sim/random.hpp"

namespace sim {

using NodeIndex = std::size_t;                // Into Plan::nodes.
using NodeSet = std::uint32_t;                // Bit i: node of index i.
using LinkSet = std::uint8_t;                 // Bit i: LinkId i.
inline constexpr std::size_t kNodesMax = 24;  // Bits of a NodeSet; and runs take their time.
inline constexpr LinkSet kAllLinks = 0xff;

// How the paths from each of `from` to each of `to` behave.
struct Paths {
    NodeSet from = 0;
    NodeSet to = 0;
    LinkSet links = kAllLinks;
};

// Nothing passes, in this direction. A partition is two of these.
struct Cut {
    Paths paths;
};
struct Degrade {
    Paths paths;
    Ppm loss = 0;
    Ppm duplicates = 0;
    Ppm reorders = 0;
    base::Duration delay{};              // Added to each packet.
    std::uint64_t bytes_per_second = 0;  // 0: no limit.
};

// The process does not run; what arrives waits in its socket while there is room.
struct Pause {
    NodeIndex node = 0;
};
// The process dies, and starts again at the end.
struct Crash {
    enum class Host : std::uint8_t { Up, Down };  // Down: nothing answers for it.
    enum class Disk : std::uint8_t { Kept, Lost };
    NodeIndex node = 0;
    Host host = Host::Up;
    Disk disk = Disk::Kept;
    bool torn = false;      // In the midst of carrying out what one step wants.
    bool obituary = false;  // Somebody on the host tells the others.
};
// The process leaves in order, and starts again at the end.
struct Leave {
    NodeIndex node = 0;
};
struct SlowDisk {
    NodeIndex node = 0;
    base::Duration delay{};
};
// Each turn of its loop comes late.
struct SlowNode {
    NodeIndex node = 0;
    base::Duration latency{};
};
// One interface loses its carrier, and the kernel says so.
struct LinkDown {
    NodeIndex node = 0;
    totem::LinkId link{};
};
// The node is taken out of everybody's configuration, and put back.
struct Unconfigure {
    NodeIndex node = 0;
};
// All are told other settings, not at the same time, and in the end the old ones again: all times
// and the windows in proportion, heartbeats by themselves.
struct Retime {
    std::int64_t percent = 100;
    std::int64_t heartbeat_percent = 100;
};
// All paths carry less, and all are told, not at the same time.
struct SmallPackets {
    std::size_t packet_bytes_max = 0;
};
// A forged ICMP error.
struct FalseAlarm {
    NodeIndex at = 0;
    NodeIndex about = 0;
    totem::LinkId link{};
};
// The application sends as fast as it may.
struct Flood {
    NodeIndex node = 0;
    std::size_t messages = 0;
    std::size_t size = 0;
};

// The process is killed with -9 at this point of its next step, and another goes on from its
// journal at the end (docs/design/0004-resume.md).
struct Kill {
    enum class Point : std::uint8_t {
        Appended,   // The input is in the journal and does not count.
        Stepped,    // So, and the core was stepped.
        Committed,  // It counts; nothing was done.
        Acting,     // Some of what the step wants was done.
        Done,       // All of it was.
    };
    NodeIndex node = 0;
    Point point = Point::Appended;
};
inline constexpr Kill::Point kKillPoints[] = {Kill::Point::Appended, Kill::Point::Stepped,
                                              Kill::Point::Committed, Kill::Point::Acting,
                                              Kill::Point::Done};

struct Fault {
    base::Duration begin{};  // After the start of the run.
    base::Duration length{};
    std::variant<Cut, Degrade, Pause, Crash, Leave, SlowDisk, SlowNode, LinkDown, Unconfigure,
                 Retime, SmallPackets, FalseAlarm, Flood, Kill>
        what;

    [[nodiscard]] base::Duration end() const { return begin + length; }
};

// With indices, as in a schedule; one line.
[[nodiscard]] std::string to_text(const Fault& fault);

}  // namespace sim
