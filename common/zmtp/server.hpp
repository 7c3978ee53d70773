// A listening socket with its connections in an event loop: what each daemon's message path needs.
// Messages in by callback, messages out with send(); what a turn of the loop collects for a
// connection is written in one go at its end.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "common/base/strong.hpp"
#include "common/os/event_loop.hpp"
#include "common/zmtp/connection.hpp"
#include "common/zmtp/listener.hpp"

namespace zmtp {

// Counts from 1 and is never used twice in a process.
using ServerConnectionId = base::Strong<struct ServerConnectionIdTag, std::uint64_t>;

class Server {
  public:
    // Called in turns of the loop. Each may call send() and close().
    struct Callbacks {
        // Somebody connected. False: it is closed at once, and nothing more is heard of it.
        std::function<bool(ServerConnectionId, const PeerCredentials&)> connected;
        std::function<void(ServerConnectionId, base::Buffer)> message;
        // The connection is gone, for whatever reason but close(). `reason` is for people.
        std::function<void(ServerConnectionId, const std::string& reason)> closed;
        // The process at the other end died while somebody (a child of it) holds the connection
        // open. Where there is `keep`: of processes of which a connection is kept, since the others
        // have asked for nothing. Optional.
        std::function<void(ServerConnectionId)> process_ended;
        // Connections for whoever keeps them open across our death (see keep()). Optional.
        std::function<void(std::span<const int> fds)> keep = nullptr;
    };
    // Connections that are taken in one turn: few as long as few come, since to find that no other
    // one waits costs a system call.
    static constexpr int kAcceptsATurnMax = 64;
    // Reads of one connection in one turn, of Limits::read_bytes each, so that a flood from one
    // does not keep the others waiting.
    static constexpr int kReadsATurn = 4;
    // More connections than this are closed at accept: each costs memory before it says who it is.
    static constexpr std::size_t kConnectionsMax = 16'384;
    // Of these, what one user may have who is neither root nor ours; and the bytes of messages that
    // he began on them and has not ended. So a user who floods keeps nobody out but himself.
    static constexpr std::size_t kConnectionsOfUserMax = 1'024;
    static constexpr std::size_t kBegunBytesOfUserMax = std::size_t{64} << 20u;

    static os::Result<std::unique_ptr<Server>> create(os::EventLoop& loop, Listener listener,
                                                      const Limits& limits, Callbacks callbacks);
    // Connections that somebody keeps stay open; close() ends them for all.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    Server(Server&&) = delete;
    Server& operator=(Server&&) = delete;

    // False: the connection's queue is full (Limits::queue_bytes_max) or the connection is gone.
    [[nodiscard]] bool send(ServerConnectionId to, const base::Buffer& head,
                            const base::Buffer& body = {});
    // Before or with the next message to it (Connection::attach()). Closed when it is gone.
    void attach(ServerConnectionId to, os::UniqueFd descriptor);
    // After what was sent to it, as far as the kernel takes it at once.
    void close(ServerConnectionId connection);

    // The connection, and all others of its process, go to Callbacks::keep, once: our death must
    // not end them (see FormerConnections). Those of processes that we don't see are kept at once,
    // each alone.
    void keep(ServerConnectionId connection);

    // Writes what was sent. Call it at the end of the turn, after all that may send.
    void flush();

    // Of the connection's peer, once a message of it came; 0 when the connection is gone.
    [[nodiscard]] std::uint32_t peer_features(ServerConnectionId connection) const;
    [[nodiscard]] std::size_t queued_bytes(ServerConnectionId connection) const;
    [[nodiscard]] std::size_t connections() const { return peers_.size(); }
    // Closed at accept, or with a message begun, because of the bounds above.
    [[nodiscard]] std::uint64_t turned_away() const { return turned_away_; }

  private:
    struct Peer {
        Connection connection;
        std::uint32_t uid = 0;
        std::int32_t pid = 0;
        std::size_t begun_bytes = 0;  // As counted in users_.
        bool is_kept = false;
        bool is_dirty = false;  // Has something to flush in this turn.
    };

    struct Process {
        os::UniqueFd descriptor;  // Once its end is watched.
        std::set<ServerConnectionId> connections;
    };

    struct User {
        std::size_t connections = 0;
        std::size_t begun_bytes = 0;
    };

    Server(os::EventLoop& loop, Listener listener, const Limits& limits, Callbacks callbacks);
    void accept_all();
    void take(Accepted accepted);
    void watch_process(const Peer& peer);
    void process_ended(std::int32_t pid);
    void read(ServerConnectionId id);
    void drop(ServerConnectionId id, const std::string& reason);
    // Ends the connection, also where it is kept.
    void end(ServerConnectionId id);
    void forget(ServerConnectionId id);
    void mark_dirty(ServerConnectionId id, Peer& peer);
    [[nodiscard]] bool has_room_for(std::uint32_t uid) const;
    // False: the user has begun too much.
    bool count_begun(Peer& peer);

    os::EventLoop& loop_;
    Listener listener_;
    Limits limits_;
    Callbacks callbacks_;
    std::map<ServerConnectionId, Peer> peers_;
    std::map<std::uint32_t, User> users_;        // Of the peers, by uid.
    std::map<std::int32_t, Process> processes_;  // Of the peers, by pid.
    std::vector<ServerConnectionId> dirty_;
    std::uint64_t turned_away_ = 0;
    int accepts_a_turn_ = 1;
    std::uint64_t last_id_ = 0;
};

}  // namespace zmtp
