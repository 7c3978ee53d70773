// From the ordered messages of one ring to items: where delivery stands, what a safe item waits
// for, and the items that are put together from fragments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "common/base/memory.hpp"
#include "ringd/totem/actions.hpp"
#include "ringd/totem/data_packet.hpp"
#include "ringd/totem/message_store.hpp"
#include "ringd/totem/node_set.hpp"

namespace totem {

class Delivery {
  public:
    explicit Delivery(base::RingId ring) : ring_(ring) {}

    // Where Deliver actions are appended, and in what memory items are put together: null is the
    // heap.
    struct Into {
        std::vector<Action>& actions;
        base::Memory* memory = nullptr;
    };

    // Delivers in the regular configuration: all that lies before the first gap and before the
    // first safe item above `safe_line`.
    void deliver(const MessageStore& store, Seq safe_line, const Into& into);

    // Delivers in the transitional configuration: all messages up to `high`, of which each that
    // some member of it holds is here. After the first gap only what came from `senders`, who did
    // not hold what is missing either: what others sent may follow from it, in causal order.
    void deliver_transitional(const MessageStore& store, Seq high, const NodeSet& senders,
                              const Into& into);

    // All up to here was delivered; what follows may be partly.
    [[nodiscard]] Seq delivered() const { return delivered_; }
    // The last message with an item that is delivered safe, up to the one that waits for it.
    [[nodiscard]] Seq last_safe() const { return last_safe_; }

    template <class A>
    void archive(A& a) {
        a(ring_, delivered_, last_safe_, chunks_done_, items_completed_, partials_);
    }

  private:
    // An item of which the last fragments are missing yet: those that came, where they lie.
    struct Partial {
        std::uint32_t item_bytes = 0;
        std::size_t bytes = 0;  // Of the fragments.
        std::vector<base::Buffer> fragments{};

        [[nodiscard]] base::Buffer joined(base::Memory* memory) const;
        template <class A>
        void archive(A& a) {
            a(item_bytes, fragments);
            if constexpr (A::kReads) {
                for (const base::Buffer& fragment : fragments)
                    bytes += fragment.size();
            }
        }
    };

    // Gives false when a safe item stops it.
    bool deliver_packet(Seq seq, const MessageStore::Message& message, Seq safe_line,
                        const Into& into);
    void deliver_chunk(Seq seq, const MessageStore::Message& message, const Chunk& chunk,
                       const Into& into);

    base::RingId ring_;
    Seq delivered_{};
    Seq last_safe_{};
    std::uint32_t chunks_done_ = 0;      // Of the message after delivered_.
    std::uint32_t items_completed_ = 0;  // By that message.
    std::map<base::NodeId, Partial> partials_;
};

}  // namespace totem
