// Carries out what the Totem core wants and tells it what happened: packets, time, the disk, and
// what the services of this node send. Decides nothing.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "common/log/log.hpp"
#include "common/os/event_loop.hpp"
#include "ringd/ring_id_file.hpp"
#include "ringd/stream_server/stream_server.hpp"
#include "ringd/totem/ring.hpp"
#include "ringd/transport/transport.hpp"

namespace ringd {

// What the driver counts itself, beside the core's and the transport's numbers.
struct DriverCounters {
    std::uint64_t turns = 0;
    std::uint64_t pauses = 0;  // Times that this process did not run when it should have.
    base::Duration longest_pause{};
    base::Duration last_pause{};
    struct Pause {
        std::uint64_t end_ms = 0;  // Since the epoch.
        base::Duration length{};
    };
    static constexpr std::size_t kPausesMax = 10;
    std::deque<Pause> recent_pauses;  // The last kPausesMax, the latest first.
    std::uint64_t rings_stored = 0;
    base::Duration slowest_store{};
};

class Driver {
  public:
    // All of them outlive the driver. `on_fatal` is called once, when a promise can't be kept; the
    // process must end then.
    struct Parts {
        os::EventLoop& loop;
        totem::Ring& ring;
        transport::Transport& transport;
        stream::StreamServer& streams;
        RingIdWriter& ring_ids;
        logging::Log& log;
        std::function<void()> on_left;
        std::function<void()> on_fatal;
        // How long after its deadline this process ran, when it was late.
        std::function<void(base::Instant now, base::Duration late)> on_late = nullptr;
        resume::Recorder* recorder = nullptr;  // None: a death is a crash.
    };
    explicit Driver(Parts parts) : parts_(std::move(parts)) {}
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;
    Driver(Driver&&) = delete;
    Driver& operator=(Driver&&) = delete;
    ~Driver() = default;

    // Registers with the loop and takes the first step. Register it before what writes to the
    // services at the end of a turn: the network goes first.
    os::Result<void> start();
    // The same, as the member that another process was; `actions` are what is left to do of it,
    // `events` what this process found.
    os::Result<void> go_on(const std::vector<totem::Action>& actions,
                           const std::vector<totem::Event>& events);

    // Leaves the ring in order; on_left is called when that is done.
    void leave();

    void tell(const totem::Event& event);

    // The network is another one from here on (reload). `change` changes the transport and appends
    // what it has to tell; `settings` are told to the core, the peers first.
    using ChangeNetwork = std::function<void(std::vector<totem::Event>&)>;
    os::Result<void> reconfigure(const ChangeNetwork& change, totem::PeersConfigured peers,
                                 const totem::SettingsChanged& settings);

    [[nodiscard]] const DriverCounters& counters() const { return counters_; }
    [[nodiscard]] base::Instant started() const { return started_; }

  private:
    os::Result<void> watch();
    os::Result<void> watch_network();
    void receive();
    void log_links();
    void pass_deadlines();
    void take_stored();
    void step_all(std::vector<totem::Event>& events);
    void step(base::Instant now, const totem::Event& event);
    void notice_pause(base::Instant now);
    void submit();
    void settle();
    void carry_out(base::Instant now, const totem::Action& action);

    Parts parts_;
    std::vector<totem::Event> events_;
    std::vector<totem::Action> actions_;
    std::vector<totem::Submitted> submissions_;
    std::optional<base::Instant> expected_;  // When the core wanted to be stepped at the latest.
    base::Instant sent_{};                   // When packets went out last.
    base::Instant store_began_{};
    base::Instant started_{};
    DriverCounters counters_;
};

}  // namespace ringd
