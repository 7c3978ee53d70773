// A process with one session of cpgd, as libclient would behave: it acknowledges what it took,
// keeps what is not credited, and goes on after a reconnect. Tells the checker what its members
// saw.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/protocol/cpg_api.hpp"
#include "tests/support/cpg_checker.hpp"

namespace support {

class CpgClient {
  public:
    using Frames = std::vector<protocol::cpg::ClientFrame>;
    // The view in which the node made this event of a session.
    using TagOf = std::function<ViewTag(protocol::cpg::SessionId, std::uint64_t event)>;

    // ---- the connection
    [[nodiscard]] protocol::cpg::Hello hello() const;
    void disconnected() { is_welcome = false; }
    // What it answers is appended.
    void take(const protocol::cpg::CpgdFrame& frame, CpgChecker& checker, const TagOf& tag_of,
              Frames& answers);

    // ---- what the program does; what is sent now is appended
    std::uint32_t join(const std::string& group, std::uint32_t handle, Frames& sent);
    std::uint32_t leave(std::uint32_t handle, CpgChecker& checker, Frames& sent);
    void ask(protocol::cpg::ClientFrame frame, Frames& sent);
    void send(const std::string& text, std::uint32_t handle, CpgChecker& checker, Frames& sent);
    // As its library writes them: multicasts that follow each other in one frame, if it takes runs.
    [[nodiscard]] Frames as_written(const Frames& frames) const;
    [[nodiscard]] protocol::cpg::EventAck acknowledgement() const { return {.event = last_event}; }
    // No session of it goes on.
    void gone(CpgChecker& checker) const;

    base::NodeId node{};
    std::uint32_t pid = 0;
    bool totem_events = true;
    bool acknowledges = true;
    bool is_alive = true;
    bool takes_runs = false;  // Its library does, and sends them.

    protocol::cpg::SessionId session{};
    bool is_welcome = false;
    std::uint64_t last_event = 0;
    std::uint32_t next_request = 1;
    std::optional<protocol::cpg::ClientFrame> request;  // Not answered yet.
    std::map<std::uint32_t, std::uint32_t> answers;     // By request: cs_error_t.
    std::uint64_t next_number = 1;
    std::deque<protocol::cpg::Mcast> uncredited;
    std::size_t window = 0;
    std::map<std::uint32_t, CpgChecker::MemberId> stays;  // By handle.
    std::map<std::string, std::uint64_t> stay_count;
    std::vector<std::string> received;
    std::size_t confchgs = 0;
    std::size_t sessions_lost = 0;
    std::uint32_t refused = 0;  // cs_error_t of the last Refused.
    std::optional<protocol::cpg::GroupsReply> groups;

  private:
    void on(const protocol::cpg::Welcome& welcome, CpgChecker& checker, Frames& answers);
    void on(const protocol::cpg::SessionEvent& event, CpgChecker& checker, const TagOf& tag_of,
            Frames& answers);
};

}  // namespace support
