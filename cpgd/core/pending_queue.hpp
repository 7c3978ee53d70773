// Records that wait to be submitted: in order for each user, and the users in turn. So what one
// user's programs have waiting holds up nobody else's for longer than a turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>

#include "cpgd/core/record.hpp"

namespace cpg {

struct Pending {
    Record record;
    bool safe = false;
};

class PendingQueue {
  public:
    // Of records, until it is the next user's turn.
    static constexpr std::size_t kTurnBytes = std::size_t{64} << 10u;
    // In the place of a user: what cpgd says for itself.
    static constexpr std::uint64_t kNobody = UINT64_MAX;

    void push(std::uint64_t user, Pending pending);
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::size_t size() const { return size_; }
    // Whose turn it is. Needs: not empty.
    [[nodiscard]] const Pending& front() const { return lanes_.at(turn_).front(); }
    // Takes it; it counted `bytes`. Needs: not empty.
    [[nodiscard]] Pending pop(std::size_t bytes);

  private:
    using Lanes = std::map<std::uint64_t, std::deque<Pending>>;

    Lanes lanes_;  // None is empty.
    std::uint64_t turn_ = 0;
    std::size_t turn_bytes_ = 0;  // Taken in this turn.
    std::size_t size_ = 0;
};

}  // namespace cpg
