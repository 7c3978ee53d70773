// Which packet counters of one life of a sender were seen (RFC 6479: a bitmap of blocks, so that
// moving on clears whole words and shifts nothing).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace transport {

// Accepts each counter at most once. Packets may overtake each other by kReplayWindow places; what
// is older than that can't be told from a replay and is refused.
class ReplayWindow {
  public:
    // At 4 million packets a second this is 16 ms of reordering, in 8 KiB a life.
    static constexpr std::uint64_t kReplayWindow = 65536;

    // True if `counter` was not seen before; from then on it was. Call it for authentic packets
    // only: a forged counter would move the window on.
    [[nodiscard]] bool accept(std::uint64_t counter);

    // All up to `counter` count as seen, whether they were or not.
    void begin_after(std::uint64_t counter);
    // Needs: one was accepted.
    [[nodiscard]] std::uint64_t highest() const { return highest_; }

  private:
    // One block more than the window, as the block that `highest_` lies in is filled only in part.
    static constexpr std::uint64_t kBlocks = kReplayWindow / 64 + 1;

    std::vector<std::uint64_t> blocks_;  // Empty before the first counter.
    std::uint64_t highest_ = 0;
};

}  // namespace transport
