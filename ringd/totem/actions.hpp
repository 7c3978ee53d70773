// What a member of the ring wants done: everything that Ring::step answers, to be carried out in
// the order given.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "ringd/totem/events.hpp"
#include "ringd/totem/seq.hpp"

namespace totem {

// Send to one node; on `link` if given, else on the path that UseLink named last.
struct SendTo {
    base::NodeId to{};
    std::optional<LinkId> link{};
    base::Buffer packet;
};

// Send to the members of the ring being formed or in force (as the last SetAudience said), or to
// every configured node. Never comes back as PacketArrived.
struct SendToAll {
    enum class Audience : std::uint8_t { Members, Configured };
    Audience audience = Audience::Members;
    base::Buffer packet;
};

// From now on Audience::Members means these, without this node.
struct SetAudience {
    std::vector<base::NodeId> members;
};

// The best path to a peer changed; none: no link to it works.
struct UseLink {
    base::NodeId peer{};
    std::optional<LinkId> link{};
};

// A lifeline is to be kept with each of these, and with nobody else: a connection on which nothing
// is said, and which the kernel of a process that dies ends. Ascending.
struct KeepLifelines {
    std::vector<base::NodeId> peers;
};

// Make durable, then step with RingStored. Nothing of a ring with a higher seq is sent before.
struct StoreRing {
    base::RingId ring{};
};

// One item, whole, in the total order. (ring, seq, index) ascends strictly at each member and names
// the item: it is the same at all members.
struct Deliver {
    base::RingId ring{};
    Seq seq{};                // Packet that completed the item.
    std::uint32_t index = 0;  // Place of the item among those that this packet completes.
    base::NodeId sender{};
    Guarantee guarantee = Guarantee::Agreed;
    base::Buffer payload;

    template <class A>
    void archive(A& a) {
        a(ring, seq, index, sender, guarantee, payload);
    }
};

// The configuration changes here in the order (EVS section 2). A transitional configuration names
// those of the old ring that come along; the regular one that follows names all members.
// Members ascend.
struct InstallConfiguration {
    enum class Kind : std::uint8_t { Transitional, Regular };
    Kind kind = Kind::Regular;
    base::RingId ring{};      // Regular: its own. Transitional: of the regular one that follows.
    base::RingId previous{};  // Of the regular configuration before; default at the very first.
    std::vector<base::NodeId> members;

    template <class A>
    void archive(A& a) {
        a(kind, ring, previous, members);
    }
};

// All submissions up to `number` have their place in the order of `ring` and need not be kept. They
// free room in the queue.
struct Taken {
    std::uint64_t number = 0;
};

// LeaveRequested is done; nothing more will be sent.
struct Left {};

using Action = std::variant<SendTo, SendToAll, SetAudience, UseLink, StoreRing, Deliver,
                            InstallConfiguration, Taken, Left, KeepLifelines>;

}  // namespace totem
