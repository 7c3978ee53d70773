// What can happen to a member of the ring: everything that Ring::step is told.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "common/base/instant.hpp"
#include "ringd/totem/ring_settings.hpp"

namespace totem {

// Which of a node's links, 0 to 7, as the ringN_addr of the configuration file.
using LinkId = base::Strong<struct LinkIdTag, std::uint8_t>;
inline constexpr std::size_t kLinksMax = 8;

// What a sender asks for (Totem section 2): agreed = all lower messages were delivered before;
// safe = also every member of the configuration is known to hold the message.
enum class Guarantee : std::uint8_t { Agreed, Safe };

// `packet` is authentic (sent by `from`, not a replay, ringd/transport/secure_channel.hpp) and not
// yet parsed. Never from this node itself.
struct PacketArrived {
    base::NodeId from{};
    LinkId link{};
    base::Buffer packet;
};

// The same of several packets, which came together: one after the other in `bytes`, as many
// bytes each as `lengths` says, which are all of them.
struct PacketsArrived {
    base::NodeId from{};
    LinkId link{};
    base::Buffer bytes;
    std::vector<std::uint16_t> lengths;

    [[nodiscard]] bool is_whole() const {
        std::size_t sum = 0;
        for (const std::uint16_t length : lengths)
            sum += length;
        return sum == bytes.size();
    }
};

// Every packet that had arrived when the driver last looked has been stepped: what waits for the
// end of a burst (the token, a batch of deliveries) may go on.
struct Drained {};

struct DeadlinePassed {};

// One item to be ordered; up to kItemBytesMax. `number` counts 1, 2, 3, … and comes back in Taken.
// An urgent item goes before all waiting items that are not urgent, but never into the middle of
// one of which a part was sent.
struct Submitted {
    std::uint64_t number = 0;
    Guarantee guarantee = Guarantee::Agreed;
    bool urgent = false;
    base::Buffer payload;

    template <class A>
    void archive(A& a) {
        a(number, guarantee, urgent, payload);
    }
};

// The ring id of a StoreRing action is durable: a bound of those that may be used.
struct RingStored {
    base::RingId ring{};
};

// Direct evidence about a peer, faster than any time-out.
struct PeerEvidence {
    enum class Kind : std::uint8_t {
        PortUnreachable,  // The kernel of the peer says that nobody listens (ICMP). Can be forged:
                          // it starts quick probes and convicts when they meet the same answer.
        Obituary,         // An authentic packet says that the peer's ringd died.
        LinkLost,         // Our own interface has no carrier or no address: all peers on this link.
        LinkBack,
        LifelineUp,    // A lifeline with the peer is there, on this link (KeepLifelines).
        LifelineDown,  // It is not, and that says nothing of the peer. kNoNode: nobody's is.
        HungUp,        // It ended without a word, as when the peer's process dies. Can be forged:
                       // it starts quick probes, and fewer of their answers convict.
    };
    base::NodeId peer{};  // kNoNode for LinkLost and LinkBack.
    LinkId link{};
    Kind kind = Kind::PortUnreachable;
};

// The driver measured that this process did not run for `length`: time-outs that passed meanwhile
// say nothing about others.
struct Paused {
    base::Duration length{};
};

// Leave in order: what was submitted is still ordered, then the members go on without us and the
// core answers with Left. Submitted is not accepted any more.
struct LeaveRequested {};

// A configured peer and how it can be reached. `links` ascending.
struct Peer {
    base::NodeId node{};
    std::vector<LinkId> links;

    template <class A>
    void archive(A& a) {
        a(node, links);
    }

    friend bool operator==(const Peer&, const Peer&) = default;
};

// The configured nodes changed (reload): without this node itself, ascending by node.
struct PeersConfigured {
    std::vector<Peer> peers;
};

// The settings changed (reload). What is awaited already is awaited as long as it was; what comes
// next goes by the new ones.
struct SettingsChanged {
    RingSettings settings;
};

// The largest packet that the transport carries to every peer changed (path MTU). Holds for the
// next ring; until then the smaller of both is used.
struct PacketBytesChanged {
    std::size_t packet_bytes_max = 0;
};

using Event = std::variant<PacketArrived, Drained, DeadlinePassed, Submitted, RingStored,
                           PeerEvidence, Paused, LeaveRequested, PeersConfigured, SettingsChanged,
                           PacketBytesChanged, PacketsArrived>;

}  // namespace totem
