#include "ringd/transport/lifelines.hpp"

#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace transport {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Among many nodes a ring is not the last one as long as some of them still come.
constexpr std::size_t kPeersAtOnceMax = 7;
constexpr base::Duration kStableMin = seconds(1);
constexpr std::uint32_t kSpread = 16;
constexpr base::Duration kSpreadStep = milliseconds(50);

constexpr base::Duration kWaitMin = seconds(1);
constexpr base::Duration kWaitMax = seconds(60);
constexpr base::Duration kConnectMax = seconds(3);
// One that lasted so long was as it should be.
constexpr base::Duration kLastsMin = seconds(10);

// Of one peer: one more than is in use, for one that this side has not yet seen to be dead.
constexpr std::ptrdiff_t kAcceptedOfPeerMax = 2;
constexpr std::size_t kConnectionsMax = 128;
constexpr int kBacklog = 16;
constexpr int kAcceptsATurn = 16;
constexpr std::size_t kEventsATurn = 32;

// Who connects and ends it again and again brings no more probes than these.
constexpr base::Duration kHungUpInterval = milliseconds(100);

// What keeps the state in firewalls between, and finds a peer that lost its own: the kernel asks
// its like, and no process wakes.
constexpr int kKeepAliveSeconds = 60;
constexpr int kKeepAliveIntervalSeconds = 10;
constexpr int kKeepAliveTries = 3;
constexpr int kBufferBytes = 2048;

bool set(int fd, int level, int option, int value) {
    return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

os::UniqueFd tcp_socket(const SocketAddress& address) {
    os::UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.is_open()) return fd;
    // Refused ones change nothing that must be so. What listens hands them on to what it accepts.
    (void)set(fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)set(fd.get(), SOL_TCP, TCP_KEEPIDLE, kKeepAliveSeconds);
    (void)set(fd.get(), SOL_TCP, TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
    (void)set(fd.get(), SOL_TCP, TCP_KEEPCNT, kKeepAliveTries);
    (void)set(fd.get(), SOL_SOCKET, SO_RCVBUF, kBufferBytes);
    return fd;
}

// Who hears it knows that this side lives.
void say_a_word(int fd) {
    constexpr char kWord = 0;
    // Where it does not get through this looks like a death, and costs a probe.
    (void)::send(fd, &kWord, sizeof kWord, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool watch(int epoll, int operation, int fd, std::uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    return ::epoll_ctl(epoll, operation, fd, &event) == 0;
}

}  // namespace

os::Result<Lifelines> Lifelines::create(base::NodeId self) {
    os::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.is_open()) return os::last_error("epoll_create1");
    return Lifelines(self, std::move(epoll));
}

void Lifelines::configure(base::Instant now, std::vector<Own> links, std::vector<Other> peers,
                          std::vector<totem::Event>& events) {
    std::ranges::sort(peers, {}, &Other::node);
    const auto stays = [&](const Connection& connection) {
        const Other* before = find(connection.peer);
        const auto after = std::ranges::find(peers, connection.peer, &Other::node);
        const std::size_t place = connection.link.value();
        const bool is_same_peer = before != nullptr && after != peers.end() &&
                                  before->addresses[place] == after->addresses[place];
        return is_same_peer && std::ranges::any_of(links, [&](const Own& own) {
                   return own.link == connection.link &&
                          std::ranges::any_of(listeners_, [&](const Listener& known) {
                              return known.own.link == own.link && known.own.address == own.address;
                          });
               });
    };
    for (auto at = connections_.begin(); at != connections_.end();) {
        const auto next = std::next(at);
        if (!stays(at->second)) {
            say_a_word(at->first);
            end(at, totem::PeerEvidence::Kind::LifelineDown, now, events);
        }
        at = next;
    }
    std::vector<Listener> listeners;
    for (const Own& own : links) {
        const auto known = std::ranges::find_if(listeners_, [&](const Listener& listener) {
            return listener.own.link == own.link && listener.own.address == own.address;
        });
        listeners.push_back(
            {.own = own, .fd = known == listeners_.end() ? os::UniqueFd() : std::move(known->fd)});
    }
    listeners_ = std::move(listeners);
    peers_ = std::move(peers);
    const auto is_gone = [&](const auto& entry) { return find(entry.first) == nullptr; };
    std::erase_if(dials_, is_gone);
    std::erase_if(best_, is_gone);
    std::erase_if(told_hung_up_, is_gone);
    listen_where_we_do_not(now);
}

void Lifelines::listen_where_we_do_not(base::Instant now) {
    listen_due_ = base::Instant::max();
    for (Listener& listener : listeners_) {
        if (listener.fd.is_open()) continue;
        listener.fd = listening_on(listener.own.address);
        if (!listener.fd.is_open()) listen_due_ = now + kWaitMax;
    }
}

os::UniqueFd Lifelines::listening_on(const SocketAddress& address) const {
    os::UniqueFd fd = tcp_socket(address);
    if (!fd.is_open()) return {};
    const bool v6 = address.is_ipv6();
    // The address may come later, and connections of the process before may not have ended yet.
    (void)set(fd.get(), v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND, 1);
    const bool listens = set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) &&
                         (!v6 || set(fd.get(), SOL_IPV6, IPV6_V6ONLY, 1)) &&
                         ::bind(fd.get(), address.data(), address.size()) == 0 &&
                         ::listen(fd.get(), kBacklog) == 0 &&
                         watch(epoll_.get(), EPOLL_CTL_ADD, fd.get(), EPOLLIN);
    return listens ? std::move(fd) : os::UniqueFd();
}

void Lifelines::keep(base::Instant now, std::span<const base::NodeId> peers) {
    kept_.assign(peers.begin(), peers.end());
    const auto is_kept = [&](base::NodeId node) { return std::ranges::binary_search(kept_, node); };
    for (auto at = connections_.begin(); at != connections_.end();) {
        const auto next = std::next(at);
        if (!is_kept(at->second.peer)) {
            say_a_word(at->first);
            ++counters_.closed;
            connections_.erase(at);
        }
        at = next;
    }
    std::erase_if(dials_, [&](const auto& entry) { return !is_kept(entry.first); });
    for (const base::NodeId node : kept_) {
        if (node < self_ || find(node) == nullptr) continue;
        const auto [at, is_new] = dials_.try_emplace(node);
        if (is_new) at->second = {.due = now + delay_to(node), .not_before = {}, .wait = kWaitMin};
    }
}

base::Duration Lifelines::delay_to(base::NodeId node) const {
    if (peers_.size() <= kPeersAtOnceMax) return {};
    return kStableMin + kSpreadStep * ((self_.value() + node.value()) % kSpread);
}

void Lifelines::use_link(base::NodeId peer, std::optional<totem::LinkId> link) {
    if (find(peer) == nullptr) return;
    best_[peer] = link;
    const auto dial = dials_.find(peer);
    if (dial == dials_.end() || !link) return;
    dial->second.due = std::min(dial->second.due, dial->second.not_before);
}

void Lifelines::receive(base::Instant now, std::vector<totem::Event>& events) {
    std::array<epoll_event, kEventsATurn> ready{};
    const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), 0);
    for (int i = 0; i < count; ++i) {
        const int fd = ready.at(static_cast<std::size_t>(i)).data.fd;
        const auto listener = std::ranges::find_if(
            listeners_, [&](const Listener& candidate) { return candidate.fd.get() == fd; });
        if (listener != listeners_.end()) {
            accept_from(*listener, now, events);
        } else if (const auto at = connections_.find(fd); at != connections_.end()) {
            look_at(at, now, events);
        }
    }
}

void Lifelines::accept_from(Listener& listener, base::Instant now,
                            std::vector<totem::Event>& events) {
    for (int i = 0; i < kAcceptsATurn; ++i) {
        sockaddr_storage name{};
        socklen_t length = sizeof name;
        os::UniqueFd fd(::accept4(listener.fd.get(), reinterpret_cast<sockaddr*>(&name), &length,
                                  SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd.is_open()) {
            // Without descriptors it would stay readable for ever.
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                listener.fd.reset();
                listen_due_ = now + kWaitMax;
            }
            return;
        }
        const auto from = SocketAddress::from(name);
        const Other* peer = from ? whose(listener, *from) : nullptr;
        const bool is_welcome = peer != nullptr && connections_.size() < kConnectionsMax &&
                                std::ranges::count_if(connections_,
                                                      [&](const auto& entry) {
                                                          return entry.second.peer == peer->node;
                                                      }) < kAcceptedOfPeerMax &&
                                watch(epoll_.get(), EPOLL_CTL_ADD, fd.get(), EPOLLIN);
        if (!is_welcome) {
            ++counters_.refused;
            say_a_word(fd.get());
            continue;
        }
        const int number = fd.get();
        Connection& made = connections_[number];
        made = {.fd = std::move(fd), .peer = peer->node, .link = listener.own.link};
        is_made(made, now, events);
    }
}

// Nothing: nobody's who has to connect to us, or it can't be told whose.
const Lifelines::Other* Lifelines::whose(const Listener& listener,
                                         const SocketAddress& from) const {
    const Other* found = nullptr;
    for (const Other& peer : peers_) {
        const auto& address = peer.addresses[listener.own.link.value()];
        if (peer.node > self_ || !address || !address->same_host(from)) continue;
        if (found != nullptr) return nullptr;
        found = &peer;
    }
    return found;
}

const Lifelines::Other* Lifelines::find(base::NodeId node) const {
    const auto at = std::ranges::lower_bound(peers_, node, {}, &Other::node);
    return at != peers_.end() && at->node == node ? &*at : nullptr;
}

void Lifelines::is_made(Connection& connection, base::Instant now,
                        std::vector<totem::Event>& events) {
    connection.is_made = true;
    connection.since = now;
    ++counters_.made;
    events.emplace_back(totem::PeerEvidence{.peer = connection.peer,
                                            .link = connection.link,
                                            .kind = totem::PeerEvidence::Kind::LifelineUp});
}

void Lifelines::look_at(Connections::iterator at, base::Instant now,
                        std::vector<totem::Event>& events) {
    using Kind = totem::PeerEvidence::Kind;
    Connection& connection = at->second;
    if (!connection.is_made) {
        int error = 0;
        socklen_t length = sizeof error;
        const bool is_connected =
            ::getsockopt(at->first, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0 &&
            watch(epoll_.get(), EPOLL_CTL_MOD, at->first, EPOLLIN);
        if (!is_connected) return end(at, Kind::LifelineDown, now, events);
        const base::NodeId peer = connection.peer;
        // One on a link that was better before.
        counters_.closed += std::erase_if(connections_, [&](const auto& entry) {
            const bool is_former = entry.second.peer == peer && entry.second.is_ours &&
                                   entry.first != connection.fd.get();
            if (is_former) say_a_word(entry.first);
            return is_former;
        });
        is_made(connection, now, events);
        return;
    }
    std::array<char, 64> word{};
    const auto got = ::recv(at->first, word.data(), word.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    const bool has_hung_up = got == 0 || (got < 0 && errno == ECONNRESET);
    end(at, has_hung_up ? Kind::HungUp : Kind::LifelineDown, now, events);
}

// Tells it, unless it was never made, and closes it.
void Lifelines::end(Connections::iterator at, totem::PeerEvidence::Kind kind, base::Instant now,
                    std::vector<totem::Event>& events) {
    using Kind = totem::PeerEvidence::Kind;
    const Connection ended = std::move(at->second);
    connections_.erase(at);
    if (ended.is_ours) try_again(ended, now);
    if (!ended.is_made) {
        ++counters_.not_made;
        return;
    }
    if (kind == Kind::HungUp) {
        ++counters_.hung_up;
        const auto [told, is_first] = told_hung_up_.try_emplace(ended.peer, now);
        if (!is_first && now - std::exchange(told->second, now) < kHungUpInterval)
            kind = Kind::LifelineDown;
    } else {
        ++counters_.closed;
    }
    events.emplace_back(totem::PeerEvidence{.peer = ended.peer, .link = ended.link, .kind = kind});
    const auto other = std::ranges::find_if(connections_, [&](const auto& entry) {
        return entry.second.peer == ended.peer && entry.second.is_made;
    });
    if (other == connections_.end()) return;
    events.emplace_back(totem::PeerEvidence{
        .peer = ended.peer, .link = other->second.link, .kind = Kind::LifelineUp});
}

void Lifelines::try_again(const Connection& ended, base::Instant now) {
    const auto found = dials_.find(ended.peer);
    if (found == dials_.end()) return;
    Dial& dial = found->second;
    if (ended.is_made && now - ended.since >= kLastsMin) dial.wait = kWaitMin;
    dial.due = now + dial.wait;
    dial.wait = std::min(2 * dial.wait, kWaitMax);
}

base::Instant Lifelines::next_deadline() const {
    base::Instant next = listen_due_;
    for (const auto& [node, dial] : dials_)
        next = std::min(next, dial.due);
    for (const auto& [fd, connection] : connections_) {
        if (!connection.is_made) next = std::min(next, connection.since + kConnectMax);
    }
    return next;
}

void Lifelines::pass_deadline(base::Instant now, std::vector<totem::Event>& events) {
    for (auto at = connections_.begin(); at != connections_.end();) {
        const auto next = std::next(at);
        if (!at->second.is_made && now >= at->second.since + kConnectMax)
            end(at, totem::PeerEvidence::Kind::LifelineDown, now, events);
        at = next;
    }
    if (now >= listen_due_) listen_where_we_do_not(now);
    for (auto& [node, dial] : dials_) {
        if (now >= dial.due) dial_now(node, dial, now);
    }
}

void Lifelines::dial_now(base::NodeId node, Dial& dial, base::Instant now) {
    dial.due = base::Instant::max();
    const Listener* from = link_to(node);
    const bool has_one = std::ranges::any_of(connections_, [&](const auto& entry) {
        return entry.second.peer == node && entry.second.is_ours && from != nullptr &&
               entry.second.link == from->own.link;
    });
    if (from == nullptr || has_one) return;
    dial.not_before = now + kWaitMin;
    if (connect(node, *from, *find(node)->addresses[from->own.link.value()], now)) return;
    ++counters_.not_made;
    dial.due = now + dial.wait;
    dial.wait = std::min(2 * dial.wait, kWaitMax);
}

// The best one if it is one of ours, else the lowest. Null: there is none.
const Lifelines::Listener* Lifelines::link_to(base::NodeId node) const {
    const Other* peer = find(node);
    const auto best = best_.find(node);
    const Listener* lowest = nullptr;
    for (const Listener& listener : listeners_) {
        if (!peer->addresses[listener.own.link.value()]) continue;
        if (best != best_.end() && best->second == listener.own.link) return &listener;
        if (lowest == nullptr) lowest = &listener;
    }
    return lowest;
}

bool Lifelines::connect(base::NodeId node, const Listener& from, const SocketAddress& to,
                        base::Instant now) {
    if (connections_.size() >= kConnectionsMax) return false;
    os::UniqueFd fd = tcp_socket(to);
    const SocketAddress own = from.own.address.with_port(0);
    // Without it each connection takes a port of its own for all addresses, which is enough, too.
    (void)set(fd.get(), SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    const bool begins = fd.is_open() && ::bind(fd.get(), own.data(), own.size()) == 0 &&
                        (::connect(fd.get(), to.data(), to.size()) == 0 || errno == EINPROGRESS) &&
                        watch(epoll_.get(), EPOLL_CTL_ADD, fd.get(), EPOLLOUT);
    if (!begins) return false;
    const int number = fd.get();
    connections_[number] = {.fd = std::move(fd),
                            .peer = node,
                            .link = from.own.link,
                            .is_ours = true,
                            .is_made = false,
                            .since = now};
    return true;
}

LifelineCounters Lifelines::counters() const {
    LifelineCounters counters = counters_;
    counters.open = static_cast<std::size_t>(std::ranges::count_if(
        connections_, [](const auto& entry) { return entry.second.is_made; }));
    for (const Listener& listener : listeners_) {
        if (!listener.fd.is_open()) counters.not_listening.push_back(listener.own.link);
    }
    return counters;
}

}  // namespace transport
