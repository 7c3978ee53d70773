#include "ringd/transport/replay_window.hpp"

#include <algorithm>

namespace transport {

bool ReplayWindow::accept(std::uint64_t counter) {
    if (blocks_.empty()) {
        blocks_.resize(kBlocks, 0);
        highest_ = counter;
    } else if (counter > highest_) {
        const std::uint64_t passed = std::min(counter / 64 - highest_ / 64, kBlocks);
        for (std::uint64_t i = 1; i <= passed; ++i) {
            blocks_[(highest_ / 64 + i) % kBlocks] = 0;
        }
        // After a jump beyond the whole window all blocks are clear, whichever the loop began with.
        highest_ = counter;
    } else if (highest_ - counter >= kReplayWindow) {
        return false;
    }

    std::uint64_t& block = blocks_[counter / 64 % kBlocks];
    const std::uint64_t bit = std::uint64_t{1} << (counter % 64);
    const bool fresh = (block & bit) == 0;
    block |= bit;
    return fresh;
}

void ReplayWindow::begin_after(std::uint64_t counter) {
    blocks_.assign(kBlocks, ~std::uint64_t{0});
    blocks_[counter / 64 % kBlocks] = ~std::uint64_t{0} >> (63 - counter % 64);
    highest_ = counter;
}

}  // namespace transport
