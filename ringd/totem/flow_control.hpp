// How much a member may send in one visit of the token (Totem section 3.3, in bytes), and how the
// window follows what the ring sustains.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace totem {

struct FlowInputs {
    std::size_t window_bytes = 0;     // One rotation of the whole ring.
    std::size_t visit_bytes = 0;      // One visit of one member.
    std::uint32_t fcc_bytes = 0;      // From the token: sent in the last rotation by all.
    std::uint32_t own_fcc_bytes = 0;  // Part of it that was ours.
    std::uint32_t backlog_bytes = 0;  // From the token: waiting at all, ours of the last visit too.
    std::uint32_t own_backlog_before = 0;
    std::size_t own_backlog = 0;
};

// Bytes for retransmissions and new packets of this visit.
[[nodiscard]] std::size_t allowed_bytes(const FlowInputs& in);

// Additive increase, multiplicative decrease: retransmissions mean that somebody's socket overflows
// or the network drops, and a smaller window is the only thing that helps against the first.
class AdaptiveWindow {
  public:
    explicit AdaptiveWindow(std::size_t window_bytes_max) : max_(window_bytes_max), now_(max_) {}

    // Once a visit: how much of the rotation's traffic was sent again.
    void rotation_ended(std::size_t sent_bytes, std::size_t resent_bytes);
    // Another maximum. A larger one is grown into as after a loss.
    void limit(std::size_t window_bytes_max);
    [[nodiscard]] std::size_t bytes() const { return now_; }

    template <class A>
    void archive(A& a) {
        a(max_, now_);
    }

  private:
    std::size_t max_;
    std::size_t now_;
};

}  // namespace totem
