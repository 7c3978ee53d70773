// The events of one attachment: numbered without a gap, kept until the service acknowledged them,
// sent as far as the service has taken them from its socket.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "common/base/buffer.hpp"
#include "common/protocol/ring_api.hpp"

namespace stream {

// One encoded event: a header and, of a Batch, the payload where it lies.
struct EventFrame {
    base::Buffer head;
    base::Buffer body;

    [[nodiscard]] std::size_t bytes() const { return head.size() + body.size(); }

    template <class A>
    void archive(A& a) {
        a(head, body);
    }
};

class EventLog {
  public:
    // Makes it the next event.
    void append(std::variant<protocol::Transitional, protocol::View, protocol::Batch> what);

    // False: such an event was never sent. An old acknowledgement changes nothing.
    [[nodiscard]] bool acknowledge(protocol::Cursor applied);

    // The service has them, and they are still kept. False: such an event was never sent.
    [[nodiscard]] bool receive(protocol::Cursor event);

    // The connection is a new one: what comes after `applied` is sent again. False: that is not
    // there (acknowledged and forgotten, or never was).
    [[nodiscard]] bool resume(protocol::Cursor applied);

    // The next event to send while less than `in_flight_max` bytes are sent and not received: at
    // most that and one event of any size are under way.
    [[nodiscard]] std::optional<EventFrame> take_next(std::size_t in_flight_max);

    void clear();

    [[nodiscard]] protocol::Cursor last() const {
        return protocol::Cursor{acknowledged_ + frames_.size()};
    }
    [[nodiscard]] protocol::Cursor acknowledged() const { return protocol::Cursor{acknowledged_}; }
    [[nodiscard]] std::size_t retained_bytes() const { return retained_bytes_; }
    [[nodiscard]] std::size_t in_flight_bytes() const { return in_flight_bytes_; }
    // Of events that the service does not have, sent or not.
    [[nodiscard]] std::size_t waiting_bytes() const { return waiting_bytes_; }

    template <class A>
    void archive(A& a) {
        a(frames_, acknowledged_, received_, sent_, retained_bytes_, in_flight_bytes_,
          waiting_bytes_);
    }

  private:
    std::deque<EventFrame> frames_;  // Those after acknowledged_.
    std::uint64_t acknowledged_ = 0;
    std::size_t received_ = 0;  // So many of frames_ the service has.
    std::size_t sent_ = 0;      // So many of frames_ were sent on this connection.
    std::size_t retained_bytes_ = 0;
    std::size_t in_flight_bytes_ = 0;
    std::size_t waiting_bytes_ = 0;
};

}  // namespace stream
