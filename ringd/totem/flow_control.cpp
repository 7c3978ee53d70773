#include "ringd/totem/flow_control.hpp"

namespace totem {

std::size_t allowed_bytes(const FlowInputs& in) {
    // Not trusted to add up: members count their own parts, and one may just have come in.
    const std::size_t others =
        in.fcc_bytes > in.own_fcc_bytes ? in.fcc_bytes - in.own_fcc_bytes : 0;
    if (others >= in.window_bytes) return 0;
    std::size_t allowed = std::min(in.visit_bytes, in.window_bytes - others);

    const std::size_t others_backlog =
        in.backlog_bytes > in.own_backlog_before ? in.backlog_bytes - in.own_backlog_before : 0;
    const std::size_t backlog = others_backlog + in.own_backlog;
    if (others_backlog > 0 && backlog > in.window_bytes) {
        // More waits than a rotation carries: to each its share. Divided first: no overflow.
        const std::size_t share = in.own_backlog / (backlog / in.window_bytes + 1);
        allowed = std::min(allowed, share);
    }
    return allowed;
}

void AdaptiveWindow::limit(std::size_t window_bytes_max) {
    max_ = window_bytes_max;
    now_ = std::min(now_, max_);
}

void AdaptiveWindow::rotation_ended(std::size_t sent_bytes, std::size_t resent_bytes) {
    const std::size_t least = max_ / 16;
    if (resent_bytes * 16 > sent_bytes) {
        now_ = std::max(least, now_ - now_ / 4);
    } else if (resent_bytes == 0) {
        now_ = std::min(max_, now_ + max_ / 64 + 1);
    }
}

}  // namespace totem
