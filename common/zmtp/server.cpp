#include "common/zmtp/server.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace zmtp {
namespace {

std::string text_of(ConnectionError error, const Connection& connection) {
    switch (error) {
        case ConnectionError::Closed:
            return "closed by the peer";
        case ConnectionError::Protocol:
            return connection.reason();
        case ConnectionError::System:
            return std::strerror(connection.last_errno());
    }
    return {};
}

}  // namespace

Server::Server(os::EventLoop& loop, Listener listener, const Limits& limits, Callbacks callbacks)
    : loop_(loop),
      listener_(std::move(listener)),
      limits_(limits),
      callbacks_(std::move(callbacks)) {}

os::Result<std::unique_ptr<Server>> Server::create(os::EventLoop& loop, Listener listener,
                                                   const Limits& limits, Callbacks callbacks) {
    std::unique_ptr<Server> server(
        new Server(loop, std::move(listener), limits, std::move(callbacks)));
    auto added = loop.add(server->listener_.fd(), EPOLLIN,
                          [raw = server.get()](std::uint32_t) { raw->accept_all(); });
    if (!added) return base::fail(added.error());
    return server;
}

Server::~Server() {
    loop_.remove(listener_.fd());
    while (!peers_.empty()) {
        forget(peers_.begin()->first);
    }
}

void Server::accept_all() {
    // Bounded, so that those who are connected are served meanwhile.
    for (int accepted = 0; accepted < accepts_a_turn_; ++accepted) {
        auto next = listener_.accept();
        // A failed accept concerns who wanted to connect, and nobody else.
        if (!next || !*next) {
            accepts_a_turn_ = 1;
            return;
        }
        if (has_room_for((*next)->peer.uid)) {
            take(std::move(**next));
        } else {
            ++turned_away_;
        }
    }
    accepts_a_turn_ = std::min(2 * accepts_a_turn_, kAcceptsATurnMax);
}

void Server::take(Accepted accepted) {
    PeerCredentials credentials = std::move(accepted.peer);
    const int fd = accepted.socket.get();
    if (limits_.peer_groups) credentials.groups = groups_of_peer(fd);
    ++users_[credentials.uid].connections;
    const ServerConnectionId id{++last_id_};
    const auto at = peers_
                        .emplace(id, Peer{.connection = Connection(std::move(accepted.socket),
                                                                   Side::Listening, limits_),
                                          .uid = credentials.uid,
                                          .pid = credentials.pid})
                        .first;
    processes_[credentials.pid].connections.insert(id);
    if (!callbacks_.connected(id, credentials)) return end(id);
    if (!peers_.contains(id)) return;  // Closed by the callback.
    if (credentials.pid <= 0) keep(id);
    if (!callbacks_.keep) watch_process(at->second);
    read(id);  // What it said is mostly there.
    if (!peers_.contains(id)) return;
    const auto on_events = [this, id](std::uint32_t events) {
        if ((events & EPOLLOUT) != 0) {
            const auto found = peers_.find(id);
            if (found != peers_.end()) mark_dirty(id, found->second);
        }
        if ((events & ~std::uint32_t{EPOLLOUT}) != 0) read(id);
    };
    if (const auto added = loop_.add(fd, EPOLLIN, on_events); !added)
        drop(id, added.error().text());
}

// One descriptor a process, however many connections it has.
void Server::watch_process(const Peer& peer) {
    Process& known = processes_.at(peer.pid);
    // A process of that number which has ended, and we have not heard of it, takes the new one's
    // connection along: its client comes back.
    if (!callbacks_.process_ended || known.descriptor.is_open()) return;
    os::UniqueFd process = process_of_peer(peer.connection.fd(), peer.pid);
    // Without it the closed socket alone tells of the end.
    if (!process.is_open()) return;
    const auto is_watched = loop_.add(
        process.get(), EPOLLIN, [this, pid = peer.pid](std::uint32_t) { process_ended(pid); });
    if (is_watched) known.descriptor = std::move(process);
}

void Server::process_ended(std::int32_t pid) {
    Process& process = processes_.at(pid);
    loop_.remove(process.descriptor.get());
    process.descriptor.reset();
    const auto ended = process.connections;
    for (const ServerConnectionId id : ended) {
        if (peers_.contains(id)) callbacks_.process_ended(id);
    }
}

void Server::read(ServerConnectionId id) {
    for (int reads = 0; reads < kReadsATurn; ++reads) {
        const auto found = peers_.find(id);
        if (found == peers_.end()) return;  // Closed by a callback.
        Connection& connection = found->second.connection;

        const auto count = connection.read_some(limits_.read_bytes);
        if (!count) return drop(id, text_of(count.error(), connection));
        for (;;) {
            auto message = connection.next_message();
            if (!message) return drop(id, text_of(message.error(), connection));
            if (!*message) break;
            callbacks_.message(id, std::move(**message));
            if (!peers_.contains(id)) return;
        }
        // The greeting goes with the answer to what the peer says first.
        if (*count > 0 && connection.wants_write()) mark_dirty(id, found->second);
        if (!count_begun(found->second)) {
            ++turned_away_;
            return drop(id, "its user has begun too many messages");
        }
        if (*count < limits_.read_bytes) return;
    }
}

bool Server::send(ServerConnectionId to, const base::Buffer& head, const base::Buffer& body) {
    const auto found = peers_.find(to);
    if (found == peers_.end() || !found->second.connection.send(head, body)) return false;
    mark_dirty(to, found->second);
    return true;
}

void Server::attach(ServerConnectionId to, os::UniqueFd descriptor) {
    const auto found = peers_.find(to);
    if (found != peers_.end()) found->second.connection.attach(std::move(descriptor));
}

void Server::close(ServerConnectionId connection) {
    const auto found = peers_.find(connection);
    if (found == peers_.end()) return;
    // Best effort: who is closed and does not read gets no more.
    (void)found->second.connection.flush();
    end(connection);
}

void Server::keep(ServerConnectionId connection) {
    const auto found = peers_.find(connection);
    if (!callbacks_.keep || found == peers_.end() || found->second.is_kept) return;
    const std::int32_t pid = found->second.pid;
    watch_process(found->second);
    const std::set<ServerConnectionId> all =
        pid > 0 ? processes_.at(pid).connections : std::set{connection};
    std::vector<int> fds;
    for (const ServerConnectionId id : all) {
        Peer& peer = peers_.at(id);
        if (!std::exchange(peer.is_kept, true)) fds.push_back(peer.connection.fd());
    }
    callbacks_.keep(fds);
}

void Server::flush() {
    std::vector<ServerConnectionId> dirty;
    dirty.swap(dirty_);
    for (const ServerConnectionId id : dirty) {
        const auto found = peers_.find(id);
        if (found == peers_.end()) continue;
        Peer& peer = found->second;
        peer.is_dirty = false;
        const auto flushed = peer.connection.flush();
        if (!flushed) {
            drop(id, text_of(flushed.error(), peer.connection));
            continue;
        }
        const std::uint32_t events = peer.connection.wants_write() ? EPOLLIN | EPOLLOUT : EPOLLIN;
        // The descriptor is watched, so only memory can be missing; then the next send tries again.
        (void)loop_.change(peer.connection.fd(), events);
    }
}

std::uint32_t Server::peer_features(ServerConnectionId connection) const {
    const auto found = peers_.find(connection);
    return found == peers_.end() ? 0 : found->second.connection.peer_features();
}

std::size_t Server::queued_bytes(ServerConnectionId connection) const {
    const auto found = peers_.find(connection);
    return found == peers_.end() ? 0 : found->second.connection.queued_bytes();
}

void Server::mark_dirty(ServerConnectionId id, Peer& peer) {
    if (peer.is_dirty) return;
    peer.is_dirty = true;
    dirty_.push_back(id);
}

void Server::drop(ServerConnectionId id, const std::string& reason) {
    end(id);
    callbacks_.closed(id, reason);
}

void Server::end(ServerConnectionId id) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return;
    // It fails for who is gone.
    if (found->second.is_kept) (void)::shutdown(found->second.connection.fd(), SHUT_RDWR);
    forget(id);
}

void Server::forget(ServerConnectionId id) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return;
    const int fd = found->second.connection.fd();
    found->second.is_kept ? loop_.remove(fd) : loop_.remove_closing(fd);
    const auto process = processes_.find(found->second.pid);
    process->second.connections.erase(id);
    if (process->second.connections.empty()) {
        if (process->second.descriptor.is_open()) loop_.remove(process->second.descriptor.get());
        processes_.erase(process);
    }
    const auto user = users_.find(found->second.uid);
    user->second.begun_bytes -= found->second.begun_bytes;
    if (--user->second.connections == 0) users_.erase(user);
    peers_.erase(found);
}

bool Server::has_room_for(std::uint32_t uid) const {
    if (peers_.size() >= kConnectionsMax) return false;
    if (uid == 0 || uid == ::geteuid()) return true;
    const auto user = users_.find(uid);
    return user == users_.end() || user->second.connections < kConnectionsOfUserMax;
}

bool Server::count_begun(Peer& peer) {
    const std::size_t begun = peer.connection.begun_bytes();
    std::size_t& all = users_[peer.uid].begun_bytes;
    all += begun - peer.begun_bytes;
    peer.begun_bytes = begun;
    return all <= kBegunBytesOfUserMax || peer.uid == 0 || peer.uid == ::geteuid();
}

}  // namespace zmtp
