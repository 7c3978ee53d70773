// Which bytes of an area are taken, first in, first out. Arithmetic only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace cpgd {

// Begins anew at the lowest addresses whenever there is room, not only at the end: so little
// traffic touches few pages.
class AreaSpace {
  public:
    // Places are multiples of this: a cache line.
    static constexpr std::size_t kAlignment = 64;

    explicit AreaSpace(std::size_t bytes) : bytes_(bytes) {}

    // Room for the payload of an event: where it begins; nothing: there is none. Events ascend.
    // Needs: bytes > 0.
    [[nodiscard]] std::optional<std::size_t> take(std::uint64_t event, std::size_t bytes) {
        const std::size_t length = (bytes + kAlignment - 1) / kAlignment * kAlignment;
        const auto at = place_of(length);
        if (!at) return std::nullopt;
        taken_.push_back({.event = event, .begin = *at, .end = *at + length});
        taken_bytes_ += length;
        return at;
    }

    // All that was taken for events up to `event` is free.
    void release(std::uint64_t event) {
        while (!taken_.empty() && taken_.front().event <= event) {
            taken_bytes_ -= taken_.front().end - taken_.front().begin;
            taken_.pop_front();
        }
    }

    [[nodiscard]] std::size_t taken_bytes() const { return taken_bytes_; }
    [[nodiscard]] std::size_t taken_events() const { return taken_.size(); }

  private:
    [[nodiscard]] std::optional<std::size_t> place_of(std::size_t length) const {
        const std::size_t oldest = taken_.empty() ? bytes_ : taken_.front().begin;
        const std::size_t next = taken_.empty() ? 0 : taken_.back().end;
        const bool is_below = !taken_.empty() && taken_.back().begin < oldest;
        const std::size_t end = is_below || taken_.empty() ? oldest : bytes_;
        const bool has_begun_above = !is_below && !taken_.empty();
        if (has_begun_above && length <= oldest) return std::size_t{0};
        if (length <= end - next) return next;
        return std::nullopt;
    }

    struct Taken {
        std::uint64_t event = 0;
        std::size_t begin = 0;
        std::size_t end = 0;
    };
    std::size_t bytes_;
    std::deque<Taken> taken_;
    std::size_t taken_bytes_ = 0;
};

}  // namespace cpgd
