#include "cpgd/core/pending_queue.hpp"

#include <utility>

#include "common/base/invariant.hpp"

namespace cpg {

void PendingQueue::push(std::uint64_t user, Pending pending) {
    if (size_ == 0) {
        turn_ = user;
        turn_bytes_ = 0;
    }
    lanes_[user].push_back(std::move(pending));
    ++size_;
}

Pending PendingQueue::pop(std::size_t bytes) {
    INVARIANT(size_ > 0);
    const auto lane = lanes_.find(turn_);
    Pending first = std::move(lane->second.front());
    lane->second.pop_front();
    --size_;
    turn_bytes_ += bytes;
    auto next = lane;
    if (lane->second.empty()) {
        next = lanes_.erase(lane);
    } else if (turn_bytes_ >= kTurnBytes) {
        ++next;
    } else {
        return first;
    }
    turn_bytes_ = 0;
    if (next == lanes_.end()) next = lanes_.begin();
    if (next != lanes_.end()) turn_ = next->first;
    return first;
}

}  // namespace cpg
