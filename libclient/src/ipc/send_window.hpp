// How much a sender may have outstanding: sent, and not yet ordered.
#pragma once

#include <cstdint>
#include <deque>

namespace client {

// Arithmetic only. Messages are numbered from 1 in the order of send().
class SendWindow {
  public:
    SendWindow() = default;
    explicit SendWindow(std::uint64_t window) : window_(window) {}

    // A message larger than the window goes alone; with a window of 0 nothing goes.
    [[nodiscard]] bool admits(std::uint64_t cost) const {
        return outstanding_ == 0 ? window_ > 0 : outstanding_ + cost <= window_;
    }

    // Gives the number of the message that is sent now.
    std::uint64_t send(std::uint64_t cost) {
        costs_.push_back(cost);
        outstanding_ += cost;
        return taken_ + costs_.size();
    }

    // All messages up to `taken` are ordered. A number from the past or future changes nothing of
    // what is outstanding beyond what was sent.
    void credit(std::uint64_t taken, std::uint64_t window) {
        while (taken_ < taken && !costs_.empty()) {
            outstanding_ -= costs_.front();
            costs_.pop_front();
            ++taken_;
        }
        window_ = window;
    }

    [[nodiscard]] std::uint64_t outstanding() const { return outstanding_; }
    [[nodiscard]] std::uint64_t last_number() const { return taken_ + costs_.size(); }

  private:
    std::uint64_t window_ = 0;
    std::uint64_t outstanding_ = 0;
    std::uint64_t taken_ = 0;
    std::deque<std::uint64_t> costs_;  // Of the messages taken_ + 1 and on.
};

}  // namespace client
