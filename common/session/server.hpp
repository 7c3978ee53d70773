// A daemon's sessions with its clients (common/protocol/session_api.hpp): who may come in, one
// request at a time, events within a bound, the end of a client at once. What requests and events
// mean is the daemon's business.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/os/event_loop.hpp"
#include "common/os/random.hpp"
#include "common/protocol/session_api.hpp"
#include "common/session/access.hpp"
#include "common/zmtp/former_connections.hpp"
#include "common/zmtp/server.hpp"

namespace session {

using protocol::session::Service;
using protocol::session::SessionId;

// What the service manager calls the clients' connections, which outlive us (os::HandedDown).
inline constexpr const char* kKeptConnection = "client";

struct Client {
    Service service = Service::Cmap;
    std::uint32_t uid = UINT32_MAX;
    std::uint32_t gid = UINT32_MAX;
    std::uint32_t pid = 0;         // As it sees itself, if the kernel knows it by that number too.
    std::uint32_t kernel_pid = 0;  // 0: of a pid namespace that we don't see.
    // It had this session before, with us or with the daemon before us, and goes on with it.
    bool came_back = false;
};

// Why a session is over.
enum class End : std::uint8_t {
    Goodbye,   // In order: nobody comes back for it.
    Gone,      // The connection or the process ended; a process that lives may come back.
    Replaced,  // It has come back before we saw that it was gone; `opened` follows.
    Overflow,  // It does not read its events. It is told, and not taken back.
    Broke      // What it sent is no frame, or out of turn.
};

struct SessionStatus {
    SessionId id{};
    Client client;
    std::uint64_t requests = 0;
    std::uint64_t events = 0;
    std::size_t queued_bytes = 0;  // Of events that the kernel did not take: it does not read.
};

struct Counters {
    std::uint64_t opened = 0;
    std::uint64_t came_back = 0;
    std::uint64_t refused = 0;
    std::uint64_t requests = 0;
    std::uint64_t events = 0;
    std::uint64_t overflowed = 0;
    std::uint64_t protocol_errors = 0;
};

class Server {
  public:
    // Each may call anything of the server.
    struct Callbacks {
        // A session begins. Its first request follows.
        std::function<void(SessionId, const Client&)> opened;
        // To be answered by reply(), now or later; the session's next request comes after that.
        std::function<void(SessionId, std::uint64_t number, base::Buffer payload)> request;
        // Not called for what close() ended.
        std::function<void(SessionId, End)> closed;
        // Somebody is not let in, for the log. Optional.
        std::function<void(const zmtp::PeerCredentials&)> not_allowed = nullptr;
    };
    // Events that a client has not read, beyond what the kernel takes (about 200 KiB).
    static constexpr std::size_t kEventBytesMax = std::size_t{4} << 20u;
    // Ids of sessions that ended by Overflow, so that they are told.
    static constexpr std::size_t kOverflowedMax = 1024;

    Server(os::EventLoop& loop, Access access, Callbacks callbacks);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    Server(Server&&) = delete;
    Server& operator=(Server&&) = delete;

    // One more socket, for clients of one service.
    os::Result<void> listen(zmtp::Listener listener, Service service);

    // A client's connection of the last life, which the service manager kept open.
    void add_former(os::UniqueFd connection) { former_.add(std::move(connection)); }
    [[nodiscard]] std::size_t former() const { return former_.count(); }

    // From now on sessions are taken; before, clients get TRY_AGAIN. Clients of the last life are
    // told to come back.
    void serve(base::NodeId self);
    // Sessions go on, new ones get TRY_AGAIN.
    void pause() { self_.reset(); }
    [[nodiscard]] bool is_serving() const { return self_.has_value(); }

    // Dropped when the session is over or does not wait for this number. `error`: a cs_error_t.
    void reply(SessionId session, std::uint64_t number, std::uint32_t error,
               const base::Buffer& payload = {});
    // Dropped when the session is over; ends it (End::Overflow, in a later turn) when it does not
    // read.
    void event(SessionId session, const base::Buffer& payload);
    // Ends a session; `closed` is not called.
    void close(SessionId session);

    // Writes what was sent. Call it at the end of the turn, after all that may send.
    void flush();

    // The rules may change at any time; sessions that are there stay.
    [[nodiscard]] Access& access() { return access_; }
    // The rules that cmapd knows count too.
    void follow_rules(std::string path) { rules_ = RulesFile(std::move(path)); }
    [[nodiscard]] const Client* find(SessionId session) const;
    [[nodiscard]] std::vector<SessionStatus> sessions() const;
    [[nodiscard]] const Counters& counters() const { return counters_; }

  private:
    struct Listening {
        Service service = Service::Cmap;
        std::unique_ptr<zmtp::Server> server;
    };
    // A connection: which listener, and its number there.
    using ConnectionId = std::pair<std::size_t, zmtp::ServerConnectionId>;
    struct Peer {
        zmtp::PeerCredentials credentials;
        bool is_allowed = false;
        SessionId session{};  // 0: it has not said.
        bool is_events = false;
    };
    struct Session {
        Client client;
        ConnectionId control;
        std::optional<ConnectionId> events;
        std::optional<std::uint64_t> outstanding;  // The request that waits for its reply.
        std::deque<base::Buffer> waiting;          // Events, until the second connection is there.
        std::size_t waiting_bytes = 0;
        std::uint64_t requests = 0;
        std::uint64_t events_sent = 0;
    };

    bool on_connected(ConnectionId id, const zmtp::PeerCredentials& peer);
    void on_message(ConnectionId id, const base::Buffer& bytes);
    void on_closed(ConnectionId id);
    void on_hello(ConnectionId id, Peer& peer, const protocol::session::Hello& hello);
    void on_events_here(ConnectionId id, Peer& peer, const protocol::session::EventsHere& here);
    void on_request(ConnectionId id, const Peer& peer, protocol::session::Request request);
    void on_goodbye(ConnectionId id, const Peer& peer, const protocol::session::Goodbye& goodbye);
    void on_keep(ConnectionId id, const Peer& peer, const protocol::session::Keep& keep);
    void keep_if_asked(ConnectionId id, const protocol::session::ClientFrame& frame);

    void send(ConnectionId to, const protocol::session::DaemonFrame& frame,
              const base::Buffer& payload = {});
    void refuse(ConnectionId id, std::uint32_t error, const char* reason);
    // What it sent is no frame, or not in its place.
    void broke(ConnectionId id);
    void close_connection(ConnectionId id);
    void end(SessionId session, End why);
    void drop(SessionId session);
    void overflow(SessionId session);

    os::EventLoop& loop_;
    Access access_;
    RulesFile rules_;
    Callbacks callbacks_;
    zmtp::FormerConnections former_;
    std::vector<Listening> listening_;
    std::optional<base::NodeId> self_;  // Nothing: not serving.
    os::RandomNumbers random_;          // For sessions.
    std::map<ConnectionId, Peer> peers_;
    std::map<SessionId, Session> sessions_;
    std::vector<SessionId> overflowing_;  // In this turn.
    std::deque<SessionId> overflowed_;    // The last kOverflowedMax.
    Counters counters_;
};

}  // namespace session
