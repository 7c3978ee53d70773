// Between cmap::Core and the world: clients on sockets, two databases, the channel at ringd, time.
// It decides nothing about keys.
//
// A turn of the loop: all that is readable goes into the core; at its end what changes something is
// stored in one transaction, then answered and told, each client in one write.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cmapd/core/core.hpp"
#include "cmapd/driver/keys_store.hpp"
#include "common/log/log.hpp"
#include "common/log/rate_limit.hpp"
#include "common/os/event_loop.hpp"
#include "common/ring_client/stream_client.hpp"
#include "common/session/server.hpp"

namespace cmapd {

class Driver {
  public:
    struct Options {
        std::string ring_path;    // ringd's socket.
        std::string access_path;  // session::Access::file, which we write.
        session::Access access;
        std::size_t nodes = 0;  // Of the node list.
        base::NodeId self{};
    };
    // Asked for all statistics; gives them, now or later, to the function that it gets.
    using Collect = std::function<void(std::function<void(cmap::Values)>)>;
    // Who serves the sessions of another service than cmap.
    struct Service {
        std::function<void(session::SessionId, const session::Client&)> opened;
        std::function<void(session::SessionId, std::uint64_t number, base::Buffer payload)> request;
        std::function<void(session::SessionId, session::End)> closed;
    };

    Driver(os::EventLoop& loop, logging::Log& log, const Options& options, KeysStore store);
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;
    Driver(Driver&&) = delete;
    Driver& operator=(Driver&&) = delete;
    ~Driver() = default;

    // All that clients need is there: they are served from here on, with or without a ring.
    void serve();

    // The daemon's own word, stored at the end of the turn.
    void write(std::vector<protocol::cmap::Write> writes) {
        step(cmap::OwnWrites{std::move(writes)});
    }
    // The configuration file as keys.
    void configure(cmap::Values keys) { step(cmap::Configured{std::move(keys)}); }
    // Nothing of this run of the node was there: the configuration is to be read.
    [[nodiscard]] bool is_fresh() const { return is_fresh_; }

    // Called with what has changed, in order, before clients hear of it. Register before serve().
    void observe(std::function<void(const std::vector<cmap::Change>&)> observer) {
        observers_.push_back(std::move(observer));
    }
    void on_collect_stats(Collect collect) { collect_ = std::move(collect); }
    void on_clear_stats(std::function<void(const std::string& which)> clear) {
        clear_ = std::move(clear);
    }
    void add_service(session::Service service, Service who) {
        services_.insert_or_assign(service, std::move(who));
    }
    // Each event of the channel, in its order, after the keys have seen it.
    void on_channel(std::function<void(const protocol::Event&)> channel) {
        channel_ = std::move(channel);
    }
    // The channel goes on where a former life left it: what others than the core had of it is gone.
    void on_resumed(std::function<void()> resumed) { resumed_ = std::move(resumed); }
    // One item of the channel, safe, now or when there is room.
    void submit(base::Buffer payload) {
        submissions_.push_back({.payload = std::move(payload), .urgent = false});
        send_submissions();
    }
    // Whether the nodes of `ring` are quorate, and until when; nobody counts until then.
    void quorum(base::RingId ring, bool is_quorate, std::optional<base::Instant> until) {
        step(cmap::QuorumChanged{.ring = ring, .is_quorate = is_quorate, .until = until});
    }
    // The node list has so many nodes now.
    void set_nodes(std::size_t nodes) { step(cmap::NodesChanged{.nodes = nodes}); }

    // The end: what is stored is where it is to stay. Nothing may happen after it.
    void close() { store_.close(); }

    [[nodiscard]] session::Server& sessions() { return sessions_; }
    [[nodiscard]] const session::Server& sessions() const { return sessions_; }
    [[nodiscard]] const cmap::Core& core() const { return core_; }
    [[nodiscard]] const KeysStore& store() const { return store_; }
    [[nodiscard]] bool is_attached() const { return stream_->is_attached(); }

  private:
    session::Server::Callbacks callbacks();
    void attach(const Options& options);
    void step(const cmap::Event& event);
    void carry_out();
    void end_turn();
    void commit();
    void send_submissions();
    void update_access();
    void on_changes(const std::vector<cmap::Change>& changes);
    void on_attached(const protocol::Attached& attached, protocol::Incarnation incarnation);
    void on_lost(const std::string& reason);
    void log_lost(const cmap::KeysLost& lost);

    os::EventLoop& loop_;
    logging::Log& log_;
    const Options options_;
    KeysStore store_;
    bool is_fresh_;
    cmap::Core core_;
    std::vector<cmap::Action> actions_;
    session::Server sessions_;
    std::map<session::Service, Service> services_;
    std::vector<std::function<void(const std::vector<cmap::Change>&)>> observers_;
    Collect collect_;
    std::function<void(const std::string&)> clear_;
    std::function<void(const protocol::Event&)> channel_;
    std::function<void()> resumed_;

    std::unique_ptr<ring::StreamClient> stream_;
    std::deque<cmap::Submit> submissions_;  // For which the channel has no room; urgent ones first.
    bool is_ring_lost_ = false;
    std::size_t commits_since_tidy_ = 0;
    logging::RateLimit refusals_;  // Lines about clients that are not allowed, by uid.
};

}  // namespace cmapd
