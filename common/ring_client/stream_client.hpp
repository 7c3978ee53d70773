// A daemon's place on a channel: connects to ringd for as long as the daemon lives, resumes where
// it was, and loses nothing that it submitted while its attachment lasts.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/instant.hpp"
#include "common/os/event_loop.hpp"
#include "common/protocol/ring_api.hpp"
#include "common/zmtp/connection.hpp"

namespace ring {

// Where a service that was restarted goes on. From its own kept state.
struct ResumePoint {
    protocol::Incarnation incarnation{};
    protocol::Cursor applied{};
};

class StreamClient {
  public:
    struct Options {
        std::string path;     // ringd's socket.
        std::string channel;  // protocol::kChannelNameMax
        std::optional<ResumePoint> resume;
    };
    // Called in turns of the loop; each may submit and acknowledge.
    struct Callbacks {
        // Attached. `resumed`: the stream goes on after the last event that was given (or after the
        // ResumePoint). Else it starts afresh at cursor 1 as `incarnation`, and what was submitted
        // before and not Taken is gone.
        std::function<void(const protocol::Attached&, protocol::Incarnation)> attached;
        // The next event, cursors without a gap.
        std::function<void(protocol::Event)> event;
        // room() may have grown.
        std::function<void()> room;
        // The connection is gone, or ringd refused it; it is tried again. For people.
        std::function<void(const std::string& reason)> lost;
    };

    StreamClient(os::EventLoop& loop, Options options, Callbacks callbacks);
    StreamClient(const StreamClient&) = delete;
    StreamClient& operator=(const StreamClient&) = delete;
    StreamClient(StreamClient&&) = delete;
    StreamClient& operator=(StreamClient&&) = delete;
    ~StreamClient();

    // Begins to connect, and writes what was submitted at the end of each turn of the loop: call it
    // after registering what submits there.
    void start();

    // Bytes of payload that may be submitted now. 0: wait for the callback, or not attached.
    [[nodiscard]] std::size_t room() const;
    // Needs: room() > 0; a payload larger than that is taken when nothing else is outstanding, see
    // fits(). Gives its number.
    std::uint64_t submit(base::Buffer payload, bool safe, bool urgent);
    [[nodiscard]] bool fits(std::size_t payload_bytes) const;

    // Events up to `applied` are done with, for ever: a restart will not ask for them.
    void acknowledge(protocol::Cursor applied);

    [[nodiscard]] bool is_attached() const { return is_attached_; }
    [[nodiscard]] protocol::Incarnation incarnation() const { return incarnation_; }
    [[nodiscard]] std::size_t outstanding_bytes() const { return outstanding_bytes_; }
    [[nodiscard]] std::uint64_t reconnects() const { return reconnects_; }

  private:
    // Submitted and not Taken.
    struct Waiting {
        std::uint64_t number = 0;
        std::size_t payload_bytes = 0;
        base::Buffer head;
        base::Buffer payload;
    };

    void connect();
    void disconnect(const std::string& reason);
    void read(std::uint32_t events);
    void flush();
    void write(const base::Buffer& head, const base::Buffer& body = {});
    void on(const protocol::Attached& attached);
    void on(const protocol::Refused& refused);
    void on(const protocol::Taken& taken);
    void on(protocol::Event event);
    void start_afresh();
    void settle(std::uint64_t taken);

    os::EventLoop& loop_;
    Options options_;
    Callbacks callbacks_;

    std::unique_ptr<zmtp::Connection> connection_;
    std::optional<base::Instant> connect_at_;
    base::Duration retry_after_{};
    std::uint64_t reconnects_ = 0;
    bool is_attached_ = false;

    protocol::Incarnation incarnation_{};
    protocol::Cursor received_{};  // Of the last event that was given.
    protocol::Cursor acknowledged_{};
    bool submitted_is_known_ = true;  // Not after a restart, until ringd has told.
    std::uint64_t submitted_ = 0;
    std::uint64_t last_ordinary_ = 0;
    std::uint64_t last_urgent_ = 0;
    std::size_t window_bytes_ = 0;
    std::size_t outstanding_bytes_ = 0;
    std::deque<Waiting> waiting_;
};

}  // namespace ring
