// Lifelines: silent TCP connections with peers, one each. Nothing is said on them. The kernel of a
// process that dies ends its connections, and so tells the others at once. An end is a hint and no
// proof: anybody on the peer's host can make a connection and end it, and a reset can be forged.
//
// The node of the lower id connects, from its own address of a link to the peer's, to the TCP port
// of the same number as the link's UDP port: the source address says whose connection it is. Who
// ends one and lives says a byte first. What comes in is not looked at, only that it came.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"
#include "ringd/transport/socket_address.hpp"
#include "ringd/transport/transport.hpp"

namespace transport {

class Lifelines {
  public:
    struct Own {
        totem::LinkId link{};
        SocketAddress address;  // With the port.
    };
    struct Other {
        base::NodeId node{};
        std::array<std::optional<SocketAddress>, totem::kLinksMax> addresses;
    };

    [[nodiscard]] static os::Result<Lifelines> create(base::NodeId self);

    // Readable when receive() has something to do; always the same.
    [[nodiscard]] int fd() const { return epoll_.get(); }

    // The addresses of this node's links, and of all other nodes. Where an address changed,
    // connections are closed, and told as down. A port that is taken is tried again.
    void configure(base::Instant now, std::vector<Own> links, std::vector<Other> peers,
                   std::vector<totem::Event>& events);

    // With these a connection is kept; with nobody else. That others' are closed is not told.
    void keep(base::Instant now, std::span<const base::NodeId> peers);
    // The link to that peer that works best; a connection on another one is made anew.
    void use_link(base::NodeId peer, std::optional<totem::LinkId> link);

    // Appends LifelineUp, LifelineDown and HungUp. Bounded work: what is left keeps fd() readable.
    void receive(base::Instant now, std::vector<totem::Event>& events);
    [[nodiscard]] base::Instant next_deadline() const;
    void pass_deadline(base::Instant now, std::vector<totem::Event>& events);

    [[nodiscard]] LifelineCounters counters() const;

  private:
    struct Listener {
        Own own;
        os::UniqueFd fd;  // None: the port is taken.
    };
    struct Connection {
        os::UniqueFd fd;
        base::NodeId peer{};
        totem::LinkId link{};
        bool is_ours = false;  // We connected.
        bool is_made = false;
        base::Instant since{};
    };
    // To whom we connect.
    struct Dial {
        base::Instant due{};
        base::Instant not_before{};  // However often the best link changes.
        base::Duration wait{};       // After the next failure.
    };
    using Connections = std::map<int, Connection>;  // By descriptor.

    Lifelines(base::NodeId self, os::UniqueFd epoll) : self_(self), epoll_(std::move(epoll)) {}

    void listen_where_we_do_not(base::Instant now);
    [[nodiscard]] os::UniqueFd listening_on(const SocketAddress& address) const;
    void accept_from(Listener& listener, base::Instant now, std::vector<totem::Event>& events);
    [[nodiscard]] const Other* whose(const Listener& listener, const SocketAddress& from) const;
    [[nodiscard]] const Other* find(base::NodeId node) const;
    void is_made(Connection& connection, base::Instant now, std::vector<totem::Event>& events);
    void look_at(Connections::iterator at, base::Instant now, std::vector<totem::Event>& events);
    void end(Connections::iterator at, totem::PeerEvidence::Kind kind, base::Instant now,
             std::vector<totem::Event>& events);
    void try_again(const Connection& ended, base::Instant now);
    void dial_now(base::NodeId node, Dial& dial, base::Instant now);
    [[nodiscard]] bool connect(base::NodeId node, const Listener& from, const SocketAddress& to,
                               base::Instant now);
    [[nodiscard]] const Listener* link_to(base::NodeId node) const;
    [[nodiscard]] base::Duration delay_to(base::NodeId node) const;

    base::NodeId self_;
    os::UniqueFd epoll_;
    std::vector<Listener> listeners_;  // One a link.
    std::vector<Other> peers_;         // Ascending by node.
    std::vector<base::NodeId> kept_;   // Ascending.
    std::map<base::NodeId, Dial> dials_;
    std::map<base::NodeId, std::optional<totem::LinkId>> best_;
    Connections connections_;
    std::map<base::NodeId, base::Instant> told_hung_up_;  // Last.
    base::Instant listen_due_ = base::Instant::max();
    LifelineCounters counters_;
};

}  // namespace transport
