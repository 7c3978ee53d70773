// One session with cpgd: what libcpg and libhalo both stand on. It knows frames, credit and parts
// of messages; which groups and callbacks there are is the libraries' business.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/protocol/cpg_api.hpp"
#include "libclient/src/cpg/reassembly.hpp"
#include "libclient/src/ipc/event_stream.hpp"
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

    std::variant<Nothing, Message, protocol::cpg::Confchg, protocol::cpg::TotemConfchg> what;
    std::vector<std::byte> message;
};

// For several threads. Sending, requests and events have a lock each; none is held while a thread
// waits for events or runs the application's code. After the daemon is gone everything gives
// CS_ERR_LIBRARY.
//
// Two connections: `control` carries requests, multicasts, replies and credit; `events` nothing but
// events, as its descriptor is the application's to poll.
class CpgSession {
  public:
    struct Options {
        bool totem_events = false;
        bool initial_totem_event = false;
    };
    static CsResult<std::unique_ptr<CpgSession>> open(const Options& options);
    ~CpgSession();

    [[nodiscard]] int event_fd() const { return events_.fd(); }
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

    enum class Wait : std::uint8_t { Never, ForEvent };
    // Takes the next event. CS_ERR_TRY_AGAIN: there is none.
    cs_error_t next_event(CpgEvent& event, Wait wait);

    // Tells cpgd, after all that was sent, and wakes every thread that waits in here.
    cs_error_t close();

  private:
    using Reply = std::variant<protocol::cpg::Reply, protocol::cpg::MembershipReply,
                               protocol::cpg::GroupsReply>;
    using RequestOf = std::function<protocol::cpg::ClientFrame(std::uint32_t request)>;

    CpgSession(zmtp::Connection control, zmtp::Connection events,
               const protocol::cpg::Welcome& welcome);

    cs_error_t mcast_whole(protocol::cpg::GroupHandle handle, bool safe,
                           std::span<const iovec> message, std::size_t bytes);
    cs_error_t mcast_parts(protocol::cpg::GroupHandle handle, bool safe,
                           std::span<const iovec> message, std::size_t bytes);
    bool send_part(Outbox::Lock& lock, const protocol::cpg::Mcast& header,
                   std::span<const iovec> payload, std::size_t bytes);

    CsResult<Reply> request(const RequestOf& frame);
    cs_error_t simple_request(const RequestOf& frame);
    // Reads control frames that are there, takes the credit in them and gives the reply, if any.
    // Needs control_mutex_.
    CsResult<std::optional<Reply>> read_control();
    void read_credit();
    void wait_for_credit(Clock::time_point deadline);

    cs_error_t take_event(CpgEvent& event);
    void take(CpgEvent& event, protocol::cpg::SessionEvent taken);
    void acknowledge(std::uint64_t event, std::size_t bytes);

    cs_error_t lost();

    const base::NodeId self_;
    std::atomic<bool> lost_ = false;
    std::atomic<std::uint32_t> next_group_ = 1;

    // Whoever reads control: a request for as long as it waits for its reply, others in passing.
    std::mutex control_mutex_;
    zmtp::Connection control_;
    std::uint32_t request_ = 0;

    // One message in parts at a time.
    std::mutex parts_mutex_;
    // Under outbox_'s lock.
    SendWindow window_;

    std::mutex events_mutex_;
    EventStream events_;
    Reassembly reassembly_;
    std::uint64_t unacknowledged_events_ = 0;
    std::size_t unacknowledged_bytes_ = 0;

    Outbox outbox_;  // Last: its thread ends first.
};

}  // namespace client
