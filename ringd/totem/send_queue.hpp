// Items that were submitted and wait for the token: urgent ones first, packed into packets as they
// fit, large ones in fragments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>

#include "common/base/buffer.hpp"
#include "ringd/totem/data_packet.hpp"
#include "ringd/totem/events.hpp"

namespace totem {

class SendQueue {
  public:
    void push(Submitted item);

    [[nodiscard]] bool empty() const { return !sending_ && urgent_.empty() && ordinary_.empty(); }
    // Payload bytes of the items that were not taken yet.
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    // What the waiting items will take as packets, roughly: for flow control.
    [[nodiscard]] std::size_t backlog_bytes() const;

    // Fills the packet with what comes next. Needs: not empty.
    void pack(DataWriter& writer);

    // The ring ended: the item of which only a part was numbered goes out again, whole.
    void restart_item();

    // All submissions up to this number were packed to their last byte.
    [[nodiscard]] std::uint64_t taken() const { return taken_; }

    template <class A>
    void archive(A& a) {
        a(urgent_, ordinary_, sending_, sent_bytes_, bytes_, taken_, taken_ahead_);
    }

  private:
    bool begin_next_item();
    void finish_item();

    std::deque<Submitted> urgent_;
    std::deque<Submitted> ordinary_;
    std::optional<Submitted> sending_;  // Of which a part may have been packed.
    std::size_t sent_bytes_ = 0;        // Of sending_.
    std::size_t bytes_ = 0;
    std::uint64_t taken_ = 0;
    std::set<std::uint64_t> taken_ahead_;  // Urgent items that overtook lower numbers.
};

}  // namespace totem
