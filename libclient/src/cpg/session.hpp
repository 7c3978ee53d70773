// One session with cpgd: what libcpg and libhalo both stand on. It knows frames, credit and parts
// of messages; which groups and callbacks there are is the libraries' business.
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

#include "common/os/shared_memory.hpp"
#include "common/protocol/cpg_api.hpp"
#include "libclient/src/base/dispatch.hpp"
#include "libclient/src/cpg/reassembly.hpp"
#include "libclient/src/cpg/run_reader.hpp"
#include "libclient/src/ipc/event_stream.hpp"
#include "libclient/src/ipc/kept_messages.hpp"
#include "libclient/src/ipc/outbox.hpp"
#include "libclient/src/ipc/send_window.hpp"

namespace client {

// An event as the application gets it. `message` is its own memory, aligned for any type.
struct CpgEvent {
    struct Message {
        protocol::cpg::GroupHandle group{};
        base::NodeId node{};
        std::uint32_t pid = 0;
    };
    // A frame that concerns the library alone: a part of a message.
    struct Nothing {};
    // The session goes on with a daemon that came back. The number of the descriptor is the same,
    // the socket is not: epoll has forgotten it.
    struct Resumed {};

    std::variant<Nothing, Resumed, Message, protocol::cpg::Confchg, protocol::cpg::TotemConfchg>
        what;
    std::vector<std::byte> message;
};

// For several threads. Sending, requests and events have a lock each; none is held while a thread
// waits for events or runs the application's code. When the daemon is gone, either the session is
// lost and everything gives CS_ERR_LIBRARY, or (Options::resume) whoever notices waits for the
// daemon to come back and goes on where it was: unanswered requests and what is not ordered are
// sent again, and events go on after the last one taken.
//
// Two connections: `control` carries requests, multicasts, replies and credit; `events` nothing but
// events, as its descriptor is the application's to poll. It is opened when somebody wants events
// or the descriptor. A session of which nothing is in the order holds nothing at the daemon: it
// ends with its connection, and is made anew with a daemon that does not know it.
class CpgSession {
  public:
    struct Options {
        bool totem_events = false;
        bool initial_totem_event = false;
        std::chrono::milliseconds resume{0};  // How long to wait for a daemon that is gone.
    };
    static CsResult<std::unique_ptr<CpgSession>> open(const Options& options);
    ~CpgSession();

    // For the application: from now on it does not hang up when the daemon dies. May ask.
    [[nodiscard]] CsResult<int> event_fd();
    [[nodiscard]] base::NodeId self() const { return self_; }
    [[nodiscard]] bool is_alive();

    // Chooses the handle under which the group's events come.
    cs_error_t join(const std::string& group, protocol::cpg::GroupHandle handle);
    cs_error_t leave(protocol::cpg::GroupHandle handle);
    [[nodiscard]] protocol::cpg::GroupHandle new_group_handle();

    // CS_OK: the message will be ordered after all that were taken before.
    cs_error_t mcast(protocol::cpg::GroupHandle handle, bool safe, std::span<const iovec> message);

    CsResult<std::vector<protocol::cpg::Member>> membership(const std::string& group);
    // No name: all groups.
    CsResult<std::vector<protocol::cpg::GroupMembers>> groups(
        const std::optional<std::string>& group);

    // Takes the next event. CS_ERR_TRY_AGAIN: there is none.
    cs_error_t next_event(CpgEvent& event, Wait wait);

    // Tells cpgd, after all that was sent, where it has to be told, and wakes every thread that
    // waits in here.
    cs_error_t close();

  private:
    using Reply = std::variant<protocol::cpg::Reply, protocol::cpg::MembershipReply,
                               protocol::cpg::GroupsReply>;
    using RequestOf = std::function<protocol::cpg::ClientFrame(std::uint32_t request)>;

    struct Links {
        zmtp::Connection control;
        std::optional<zmtp::Connection> events;
        protocol::cpg::Welcome welcome;
    };

    CpgSession(Links links, const Options& options);

    // Where a session goes on; without anything: a new one.
    struct Place {
        protocol::cpg::SessionId session{};
        bool is_established = false;   // There is no other one in its place.
        bool has_events = false;       // The second connection.
        std::uint64_t last_event = 0;  // To go on after.
        bool takes_area = true;
    };
    static CsResult<Links> connect(const Options& options, const Place& place);
    // False: the session is lost. `connection` is connection_ as it was before the failure.
    bool resume(std::uint32_t connection);
    CsResult<Links> reconnect();
    // The second connection, if it is not there yet. Tries as long as the daemon lives.
    cs_error_t open_events();
    cs_error_t try_to_open_events();

    cs_error_t mcast_whole(protocol::cpg::GroupHandle handle, bool safe,
                           std::span<const iovec> message, std::size_t bytes);
    cs_error_t mcast_parts(protocol::cpg::GroupHandle handle, bool safe,
                           std::span<const iovec> message, std::size_t bytes);
    cs_error_t send_part(const protocol::cpg::Mcast& header, std::span<const iovec> payload,
                         std::size_t bytes);
    void send_now(Outbox::Lock& lock, const protocol::cpg::Mcast& mcast,
                  std::span<const std::byte> head, std::span<const iovec> payload,
                  std::size_t bytes);
    [[nodiscard]] bool knows(std::uint32_t feature) const { return (features_ & feature) != 0; }
    [[nodiscard]] bool resumes() const {
        return options_.resume > std::chrono::milliseconds::zero();
    }

    bool ends_by_itself();
    CsResult<Reply> request(const RequestOf& frame);
    CsResult<Reply> ask(const protocol::cpg::ClientFrame& frame, std::uint32_t number);
    cs_error_t simple_request(const RequestOf& frame);
    // Reads control frames that are there, takes the credit in them and gives the reply, if any.
    // Needs control_mutex_.
    CsResult<std::optional<Reply>> read_control();
    void read_credit();
    void wait_for_credit(Clock::time_point deadline);

    cs_error_t take_event(CpgEvent& event);
    cs_error_t read_event(CpgEvent& event);
    cs_error_t take_from_run(CpgEvent& event);
    cs_error_t take_frame(CpgEvent& event, const base::Buffer& message);
    // CS_OK: it is the next event. CS_ERR_TRY_AGAIN: it was taken before.
    cs_error_t count_event(std::uint64_t event);
    cs_error_t take_from_area(CpgEvent& event, const protocol::cpg::DeliveredInArea& taken);
    void take_message(CpgEvent& event, const protocol::cpg::Delivered& part,
                      std::span<const std::byte> payload);
    void end_run();
    void take(CpgEvent& event, protocol::cpg::SessionEvent taken);
    void acknowledge(std::uint64_t event, std::size_t bytes);

    cs_error_t lost();
    // What a connection that failed means: nothing yet if it closed, the end if it spoke nonsense.
    cs_error_t failed(zmtp::ConnectionError error);

    // Locks are taken in the order in which they stand here.
    const Options options_;
    const base::NodeId self_;
    const int control_fd_;  // The numbers stay, the sockets behind them may be replaced.
    std::atomic<int> event_fd_ = -1;
    std::atomic<std::uint32_t> features_;  // Of the daemon.
    std::atomic<bool> lost_ = false;
    // The daemon ends the connections when it has answered Goodbye. Only who waits for the answer
    // may then make anything of their end.
    std::atomic<bool> closing_ = false;
    std::atomic<std::uint32_t> next_group_ = 1;

    // One request at a time.
    std::mutex request_mutex_;
    std::uint32_t request_ = 0;
    // The service manager has the second connection. Counts only where EventsHere does not say so.
    std::atomic<bool> is_kept_ = false;
    std::atomic<bool> has_asked_ = false;  // For something that goes into the order.
    // One message in parts at a time.
    std::mutex parts_mutex_;

    std::mutex resume_mutex_;
    protocol::cpg::SessionId id_;
    std::atomic<std::uint32_t> connection_ = 0;  // Counts them.

    // Whoever reads control: a request for as long as it waits for its reply, others in passing.
    std::mutex control_mutex_;
    zmtp::Connection control_;
    bool has_joined_ = false;  // The daemon said so.

    std::mutex events_mutex_;
    std::optional<EventStream> events_;
    std::optional<os::ForeignMemory> area_;  // Of this connection, once a message came through it.
    bool takes_area_ = true;                 // The next connection.
    RunReader run_;
    base::Buffer run_frame_;  // Of run_ when it has come whole.
    Reassembly reassembly_;
    std::uint64_t last_event_ = 0;
    bool tell_resumed_ = false;
    std::uint64_t unacknowledged_events_ = 0;
    std::size_t unacknowledged_bytes_ = 0;

    // Under outbox_'s lock.
    SendWindow window_;
    KeptMessages kept_;

    Outbox outbox_;  // Last: its thread ends first.
};

}  // namespace client
