// Between cpg::Core and the world: clients on a socket, the channel at ringd, time, and the
// snapshot that the next life begins with. It decides nothing about groups.
//
// A turn of the loop: all that is readable goes into the core; at its end the core submits one
// batch of it, each client gets what is for it in one write, and a snapshot is taken when it is
// due.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "common/log/log.hpp"
#include "common/log/rate_limit.hpp"
#include "common/os/event_loop.hpp"
#include "common/os/random.hpp"
#include "common/os/snapshot_file.hpp"
#include "common/ring_client/stream_client.hpp"
#include "common/session/access.hpp"
#include "common/zmtp/server.hpp"
#include "cpgd/core/core.hpp"
#include "cpgd/core/snapshot_schedule.hpp"
#include "cpgd/driver/deliveries.hpp"
#include "cpgd/driver/process_watch.hpp"
#include "cpgd/driver/status_json.hpp"

namespace cpgd {

// What the service manager calls the clients' connections, which outlive us.
inline constexpr const char* kKeptConnection = "client";

class Driver {
  public:
    struct Options {
        std::string ring_path;  // ringd's socket.
        session::Access access;
        std::string rules_path;  // session::RulesFile; empty: none.
        cpg::Config core;
    };

    // `snapshots`: nothing when the run folder can't hold them; then each start is a fresh one.
    static os::Result<std::unique_ptr<Driver>> create(os::EventLoop& loop, logging::Log& log,
                                                      const Options& options,
                                                      zmtp::Listener listener,
                                                      std::optional<os::SnapshotFile> snapshots);
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;

    // Clients are served for the first time.
    void on_serving(std::function<void()> callback) { serving_ = std::move(callback); }

    // For a planned end: the next life goes on from here.
    // `is_last`: no client is told anything after it.
    void store_snapshot(bool is_last = false);

    [[nodiscard]] cpg::Status status() const { return core_.status(); }
    [[nodiscard]] AreasStatus areas() const;
    [[nodiscard]] session::Access& access() { return access_; }

  private:
    // As the kernel says.
    struct Peer {
        std::uint32_t pid = 0;
        std::uint32_t uid = 0;
    };

    Driver(os::EventLoop& loop, logging::Log& log, const Options& options,
           std::optional<os::SnapshotFile> snapshots);
    std::optional<ring::ResumePoint> restore(const cpg::Config& config);
    void look_after_snapshot();
    void store(std::span<const base::Buffer> snapshot, protocol::Cursor applied);
    void start_afresh(const char* reason);
    void attach(const Options& options, const std::optional<ring::ResumePoint>& resume);

    void step(const cpg::Event& event);
    void carry_out();
    void end_turn();
    void send_submissions();
    void watch_processes();
    [[nodiscard]] std::optional<base::Instant> next_deadline() const;
    void deadline_passed();
    void on_event(protocol::Event event);

    bool on_connected(zmtp::ServerConnectionId id, const zmtp::PeerCredentials& peer);
    void on_message(zmtp::ServerConnectionId id, const base::Buffer& frame);
    void on_first_frame(zmtp::ServerConnectionId id, const Peer& peer,
                        protocol::cpg::ClientFrame& frame);
    void keep_if_asked(zmtp::ServerConnectionId id, const protocol::cpg::ClientFrame& frame);
    void on_closed(zmtp::ServerConnectionId id);
    void on_attached(const protocol::Attached& attached, protocol::Incarnation incarnation);
    void on_lost(const std::string& reason);

    os::EventLoop& loop_;
    logging::Log& log_;
    session::Access access_;
    session::RulesFile rules_;  // And whom cmapd's keys allow.
    std::uint64_t life_;        // The time of our start.
    cpg::Core core_;
    std::vector<cpg::Action> actions_;
    std::unique_ptr<zmtp::Server> clients_;
    std::unique_ptr<Deliveries> deliveries_;  // To clients_.
    std::map<zmtp::ServerConnectionId, Peer> peers_;
    std::set<zmtp::ServerConnectionId> refused_;        // Told so when they say hello.
    logging::RateLimit refusals_;                       // Lines about them, by uid.
    std::vector<zmtp::ServerConnectionId> overflowed_;  // In this turn.
    ProcessWatch processes_;
    os::RandomNumbers random_;  // For sessions.
    std::unique_ptr<ring::StreamClient> stream_;
    std::deque<cpg::Submit> submissions_;  // For which the channel has no room; urgent ones first.
    std::function<void()> serving_;
    bool was_serving_ = false;
    bool is_ring_lost_ = false;

    std::optional<os::SnapshotFile> snapshots_;
    cpg::SnapshotSchedule schedule_;
    std::optional<cpg::Core::Draft> draft_;  // Not acknowledged by all clients yet.
    bool has_state_ = false;     // What is in snapshots_ is of this life, or it goes on from it.
    bool has_lived_ = false;     // snapshots_ was told so.
    protocol::Cursor stored_{};  // In the last snapshot.
};

}  // namespace cpgd
