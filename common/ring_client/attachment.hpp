// A daemon's side of its place on a channel, without a connection: where it is in the stream, what
// it submitted and is not Taken, and what has to be said when a connection is new. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/protocol/ring_api.hpp"

namespace ring {

// Where a service that was restarted goes on. From its own kept state.
struct ResumePoint {
    protocol::Incarnation incarnation{};
    protocol::Cursor applied{};
};

// A frame to ringd: the payload follows the header in one message.
struct ServiceMessage {
    base::Buffer head;
    base::Buffer payload;
};

class Attachment {
  public:
    // Afresh; `incarnation` was never used before.
    Attachment(std::string channel, protocol::Incarnation incarnation)
        : channel_(std::move(channel)), incarnation_(incarnation) {}
    Attachment(std::string channel, const ResumePoint& from);

    // ---- the connection
    [[nodiscard]] base::Buffer hello() const;  // The first frame of each.
    void lost() { is_attached_ = false; }

    // ---- what ringd says
    // Appends what it may not have got, to be said again.
    void attached(const protocol::Attached& attached, std::vector<ServiceMessage>& again);
    // The connection ends. When the incarnation is over it goes on as `fresh`, from nothing.
    void refused(const protocol::Refused& refused, protocol::Incarnation fresh);
    void taken(const protocol::Taken& taken);
    // Cursors come without a gap.
    void received(const protocol::Event& event);

    // ---- what the service says
    // Bytes of payload that is not urgent and may be submitted now; 0 while not attached.
    [[nodiscard]] std::size_t room() const;
    // A payload larger than the room is taken when nothing else is outstanding.
    [[nodiscard]] bool fits(std::size_t payload_bytes) const;
    // What is urgent has room of its own: the others may wait for it while the window is 0.
    [[nodiscard]] bool fits_urgent(std::size_t payload_bytes) const;
    // Needs: it fits.
    ServiceMessage submit(base::Buffer payload, bool safe, bool urgent);
    // That the events so far have been taken, when ringd is to know that. Ask once a turn.
    std::optional<base::Buffer> give_credit();
    // Nothing when there is nothing new to say, or nobody to say it to.
    std::optional<base::Buffer> acknowledge(protocol::Cursor applied);

    [[nodiscard]] bool is_attached() const { return is_attached_; }
    [[nodiscard]] protocol::Incarnation incarnation() const { return incarnation_; }
    [[nodiscard]] std::size_t outstanding_bytes() const {
        return outstanding_bytes_ + outstanding_urgent_bytes_;
    }
    [[nodiscard]] std::uint64_t submitted() const { return submitted_; }

  private:
    // Submitted and not Taken.
    struct Waiting {
        std::uint64_t number = 0;
        bool urgent = false;
        ServiceMessage message;
    };

    void settle(std::uint64_t taken);
    [[nodiscard]] std::size_t& outstanding(bool urgent) {
        return urgent ? outstanding_urgent_bytes_ : outstanding_bytes_;
    }

    std::string channel_;
    protocol::Incarnation incarnation_{};
    bool is_attached_ = false;
    protocol::Cursor received_{};  // Of the last event that was given.
    protocol::Cursor acknowledged_{};
    std::size_t event_bytes_ = 0;     // Attached::event_bytes
    std::size_t untold_bytes_ = 0;    // Of events since ringd was last told what came.
    bool submitted_is_known_ = true;  // Not after a restart, until ringd has told.
    std::uint64_t submitted_ = 0;
    std::uint64_t last_ordinary_ = 0;
    std::uint64_t last_urgent_ = 0;
    std::size_t window_bytes_ = 0;
    std::size_t outstanding_bytes_ = 0;
    std::size_t outstanding_urgent_bytes_ = 0;
    std::deque<Waiting> waiting_;
};

}  // namespace ring
