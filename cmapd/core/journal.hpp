// The last changes, so that a tracker that was away for a moment (cmapd was restarted) is told of
// each of them, with its old and new value.
#pragma once

#include <deque>
#include <vector>

#include "cmapd/core/keys.hpp"

namespace cmap {

class Journal {
  public:
    static constexpr std::size_t kBytesMax = std::size_t{4} << 20u;
    static constexpr std::size_t kChangesMax = 16'384;

    // In order of revisions, each greater than the last.
    void add(Change change);

    // All changes after it are here.
    [[nodiscard]] Revision floor() const { return floor_; }
    [[nodiscard]] const std::deque<Change>& changes() const { return changes_; }

    // At the start: nothing is known up to here.
    void begin_at(Revision floor);

  private:
    std::deque<Change> changes_;
    std::size_t bytes_ = 0;
    Revision floor_{};
};

}  // namespace cmap
