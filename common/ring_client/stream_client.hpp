// A daemon's place on a channel: connects to ringd for as long as the daemon lives, resumes where
// it was, and loses nothing that it submitted while its attachment lasts.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/instant.hpp"
#include "common/os/event_loop.hpp"
#include "common/ring_client/attachment.hpp"
#include "common/ring_client/lent_items.hpp"
#include "common/zmtp/connection.hpp"

namespace ring {

class StreamClient {
  public:
    struct Options {
        std::string path;     // ringd's socket.
        std::string channel;  // protocol::kChannelNameMax
        std::optional<ResumePoint> resume;
        // Payloads of long batches stay in ringd's memory, which is not much: for who lets go of
        // them soon. They may outlive the client.
        bool takes_items = false;
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

    // Bytes of payload that is not urgent and may be submitted now. 0: wait for the callback, or
    // not attached.
    [[nodiscard]] std::size_t room() const { return attachment_.room(); }
    // Needs: it fits, or fits_urgent when it is urgent; a payload larger than the room does when
    // nothing else is outstanding. Gives its number.
    std::uint64_t submit(base::Buffer payload, bool safe, bool urgent);
    [[nodiscard]] bool fits(std::size_t bytes) const { return attachment_.fits(bytes); }
    [[nodiscard]] bool fits_urgent(std::size_t bytes) const {
        return attachment_.fits_urgent(bytes);
    }

    // Events up to `applied` are done with, for ever: a restart will not ask for them.
    void acknowledge(protocol::Cursor applied);

    [[nodiscard]] bool is_attached() const { return attachment_.is_attached(); }
    [[nodiscard]] protocol::Incarnation incarnation() const { return attachment_.incarnation(); }
    [[nodiscard]] std::size_t outstanding_bytes() const { return attachment_.outstanding_bytes(); }
    [[nodiscard]] std::uint64_t reconnects() const { return reconnects_; }
    // Of ringd's memory, in payloads that came over this connection and are held yet.
    [[nodiscard]] std::size_t lent_bytes() const { return lent_ ? lent_->held_bytes() : 0; }

  private:
    void connect();
    void disconnect(const std::string& reason);
    void read(std::uint32_t events);
    void flush();
    void give_back();
    void write(const base::Buffer& head, const base::Buffer& body = {});
    void on(const protocol::Attached& attached);
    void on(const protocol::Refused& refused);
    void on(const protocol::Taken& taken);
    void on(protocol::Event event);
    void on(protocol::BatchInArea in_area);

    os::EventLoop& loop_;
    std::string path_;
    Callbacks callbacks_;

    std::unique_ptr<zmtp::Connection> connection_;
    bool takes_items_;               // The next connection.
    std::optional<LentItems> lent_;  // Of this one, once an item came so.
    std::optional<base::Instant> connect_at_;
    base::Duration retry_after_{};
    std::uint64_t reconnects_ = 0;
    Attachment attachment_;
};

}  // namespace ring
