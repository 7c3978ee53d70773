// What one life of a local service submitted and what has no place in the order yet. Each item is
// kept until it came back in its place: a change of configuration may throw it back.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

#include "ringd/stream/item.hpp"

namespace stream {

class Submissions {
  public:
    enum class Accepted : std::uint8_t {
        Yes,
        Known,   // Submitted again after a reconnect: nothing to do.
        Broken,  // Not the next number, or `after` is wrong: a bug of the service.
    };
    // `frame`: the whole Submit frame, to be ordered as it is.
    Accepted accept(const protocol::Submit& submit, base::Buffer frame);

    struct Waiting {
        std::uint64_t number = 0;
        std::uint64_t after = 0;
        bool safe = false;
        bool in_ring = false;  // Given to the ring, and not thrown back.
        std::size_t payload_bytes = 0;
        base::Buffer frame;

        template <class A>
        void archive(A& a) {
            a(number, after, safe, in_ring, payload_bytes, frame);
        }
    };
    // The next one for the ring, or null. Urgent ones go first.
    [[nodiscard]] const Waiting* next(bool urgent) const;
    void given_to_ring(bool urgent);

    // The item came back: in its place, or to be sent again. What this life doesn't wait for is
    // passed over.
    void placed(std::uint64_t number, bool urgent);
    void thrown_back(std::uint64_t number, bool urgent);

    // All up to this number have their place.
    [[nodiscard]] std::uint64_t taken() const;
    [[nodiscard]] std::uint64_t accepted() const { return accepted_; }
    // The last one accepted that is as urgent; 0: none.
    [[nodiscard]] std::uint64_t last(bool urgent) const { return line(urgent).accepted; }
    [[nodiscard]] std::size_t outstanding_bytes() const {
        return outstanding_bytes(false) + outstanding_bytes(true);
    }
    [[nodiscard]] std::size_t outstanding_bytes(bool urgent) const {
        return line(urgent).outstanding_bytes;
    }
    [[nodiscard]] bool empty() const { return lines_[0].items.empty() && lines_[1].items.empty(); }

    template <class A>
    void archive(A& a) {
        a(lines_, accepted_);
    }

  private:
    struct Line {
        std::deque<Waiting> items;   // Ascending by number; the front one is placed next.
        std::size_t next = 0;        // All before this one are in the ring.
        std::uint64_t accepted = 0;  // Highest number of this line.
        std::size_t outstanding_bytes = 0;

        template <class A>
        void archive(A& a) {
            a(items, next, accepted, outstanding_bytes);
        }
    };
    [[nodiscard]] Line& line(bool urgent) { return lines_[urgent ? 1 : 0]; }
    [[nodiscard]] const Line& line(bool urgent) const { return lines_[urgent ? 1 : 0]; }

    std::array<Line, 2> lines_;
    std::uint64_t accepted_ = 0;
};

}  // namespace stream
