// Between quorum::Core and the world: clients on two sockets, the channel at ringd, time, and what
// is kept for the next life. It decides nothing about quorum.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/log/log.hpp"
#include "common/log/rate_limit.hpp"
#include "common/os/event_loop.hpp"
#include "common/ring_client/stream_client.hpp"
#include "quorumd/core/core.hpp"
#include "quorumd/driver/clients.hpp"
#include "quorumd/driver/memory.hpp"

namespace quorumd {

class Driver {
  public:
    struct Options {
        std::string ring_path;  // ringd's socket.
        session::Access access;
        quorum::Config core;
    };
    Driver(os::EventLoop& loop, logging::Log& log, Options options, Memory memory);
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;
    Driver(Driver&&) = delete;
    Driver& operator=(Driver&&) = delete;

    // After the sockets were given to clients().
    void start();

    // Clients are served for the first time.
    void on_serving(std::function<void()> callback) { serving_ = std::move(callback); }

    // For a planned end: the next life goes on from here.
    void keep();

    void step(const quorum::Event& event);
    [[nodiscard]] quorum::Status status() const;
    [[nodiscard]] Clients& clients() { return clients_; }
    [[nodiscard]] const quorum::Config& config() const { return options_.core; }
    // The configuration was read again.
    void reconfigure(const quorum::Config& config);

  private:
    [[nodiscard]] std::optional<ring::ResumePoint> restore();
    void carry_out(const quorum::Action& action);
    void log_change();
    void end_turn();
    void send_submissions();
    void on_attached(const protocol::Attached& attached, protocol::Incarnation incarnation);
    void on_lost(const std::string& reason);

    os::EventLoop& loop_;
    logging::Log& log_;
    Options options_;
    Memory memory_;
    std::uint64_t life_;  // The time of our start.
    quorum::Core core_;
    Clients clients_;
    std::unique_ptr<ring::StreamClient> stream_;
    std::deque<quorum::Submit> submissions_;  // For which the channel has no room; urgent first.
    std::function<void()> serving_;
    bool is_ring_lost_ = false;
    bool has_lived_ = false;            // memory_ was told so.
    protocol::Cursor kept_{};           // In the last snapshot.
    std::optional<bool> said_quorate_;  // In the log.
    std::size_t said_differing_ = 0;
    logging::RateLimit refusals_;  // Lines about clients that are not allowed, by uid.
};

}  // namespace quorumd
