// One session with a daemon that is asked and tells (cmapd, quorumd): what libcmap, libcfg,
// libquorum, libvotequorum and libhalo stand on. It knows the envelope; what is in it is the
// library's business.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/protocol/session_api.hpp"
#include "libclient/src/base/dispatch.hpp"
#include "libclient/src/ipc/connect.hpp"
#include "libclient/src/ipc/event_stream.hpp"

namespace client {

// For several threads. Requests and events have a lock each; none is held while a thread waits for
// events or runs the application's code. When the daemon is gone, either the session is lost and
// everything gives CS_ERR_LIBRARY, or (Options::resume) whoever notices waits for the daemon to
// come back, says the lasting subscriptions again and goes on: an unanswered request is sent again
// under its number, and the descriptor that the application polls keeps its number. The connection
// of that descriptor is opened when somebody wants events or the descriptor.
//
// A Buffer that comes out of here is the only owner of its memory (the count is not atomic).
class ServiceSession {
  public:
    struct Options {
        std::string socket;  // In the run folder.
        protocol::session::Service service = protocol::session::Service::Cmap;
        std::chrono::milliseconds resume{0};  // How long to wait for a daemon that is gone.
        // What a daemon that came back has to be told before anything else, as requests. Optional;
        // called by any thread that uses the session, with no lock of the session but its own
        // against another resume: it must not call the session.
        std::function<std::vector<base::Buffer>()> subscriptions = nullptr;
    };
    static CsResult<std::unique_ptr<ServiceSession>> open(Options options);
    ~ServiceSession();
    ServiceSession(const ServiceSession&) = delete;
    ServiceSession& operator=(const ServiceSession&) = delete;

    // For the application: from now on it does not hang up when the daemon dies. May ask.
    [[nodiscard]] CsResult<int> event_fd();
    [[nodiscard]] base::NodeId self() const { return self_; }
    [[nodiscard]] bool is_alive();

    struct Reply {
        cs_error_t error = CS_ERR_LIBRARY;
        base::Buffer payload;  // A refusal may have one too.
    };
    // The error, as it is here: CS_ERR_LIBRARY, there is no daemon and no session any more;
    // CS_ERR_TOO_BIG: above kPayloadBytesMax. Waits as long as the daemon lives; a cancellation
    // point.
    CsResult<Reply> ask(const base::Buffer& request);
    // The same for who has no use for the payload of a refusal: an answer that is no CS_OK is the
    // error.
    CsResult<base::Buffer> call(const base::Buffer& request);

    // The session goes on with a daemon that came back: a program that was woken has its event.
    struct Resumed {};
    using Event = std::variant<Resumed, base::Buffer>;
    // Takes the next event. CS_ERR_TRY_AGAIN: there is none.
    cs_error_t next_event(Event& event, Wait wait);

    // Tells the daemon and wakes every thread that waits in here. Waits for a daemon that is being
    // restarted, never for one that is gone. Gives what it told, which most libraries' finalize
    // does not.
    cs_error_t close();

  private:
    struct Links {
        zmtp::Connection control;
        std::optional<zmtp::Connection> events;
        protocol::session::Welcome welcome;
    };

    ServiceSession(Links links, Options options);

    // Where a session goes on; without anything: a new one.
    struct Place {
        protocol::session::SessionId session{};
        bool has_events = false;  // The second connection.
    };
    static CsResult<Links> connect(const Options& options, const Place& place);
    // False: the session is lost. `connection` is connection_ as it was before the failure.
    bool resume(std::uint32_t connection);
    CsResult<Links> reconnect();
    // The second connection, if it is not there yet. Tries as long as the daemon lives.
    cs_error_t open_events();
    cs_error_t try_to_open_events();
    // Tells a daemon that came back what lasts. Needs all locks.
    cs_error_t subscribe_again();

    // The request, sent again when the daemon comes back.
    CsResult<Reply> exchange(const protocol::session::ClientFrame& frame, std::uint64_t number);
    // The same on the present connection. Needs control_mutex_.
    CsResult<Reply> exchange_once(const protocol::session::ClientFrame& frame,
                                  std::uint64_t number);
    CsResult<Reply> wait_reply(std::uint64_t number);
    cs_error_t send(const base::Buffer& frame);

    cs_error_t take_event(Event& event);
    cs_error_t read_event(Event& event);

    [[nodiscard]] bool knows(std::uint32_t feature) const { return (features_ & feature) != 0; }
    cs_error_t lost();
    // What a connection that failed means: nothing yet if it closed, the end if it spoke nonsense.
    cs_error_t failed(zmtp::ConnectionError error);

    // Locks are taken in the order in which they stand here.
    const Options options_;
    const protocol::session::SessionId id_;
    const base::NodeId self_;
    const int control_fd_;  // The numbers stay, the sockets behind them may be replaced.
    std::atomic<int> event_fd_ = -1;
    std::atomic<std::uint32_t> features_;  // Of the daemon.
    std::atomic<bool> lost_ = false;
    std::atomic<bool> closing_ = false;  // From then on the daemon's end is expected.

    // One request at a time.
    std::mutex request_mutex_;
    std::uint64_t request_ = 0;
    // The service manager has the second connection. Counts only where EventsHere does not say so.
    std::atomic<bool> is_kept_ = false;

    std::mutex resume_mutex_;
    std::atomic<std::uint32_t> connection_ = 0;  // Counts them.

    std::mutex control_mutex_;
    zmtp::Connection control_;
    // Sent, and its reply not taken, because the thread that waited for it was cancelled.
    std::optional<std::uint64_t> unanswered_;

    std::mutex events_mutex_;
    std::optional<EventStream> events_;
    bool tell_resumed_ = false;
};

}  // namespace client
