// The process that watches: forks the worker, hears what it says, and ends or restarts it.
#pragma once

#include <corosync/sam.h>
#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>
#include <vector>

#include "common/os/unique_fd.hpp"
#include "libclient/src/sam/cluster.hpp"
#include "libclient/src/sam/command.hpp"

namespace sam {

// What both processes know; a copy of it goes along with each fork.
struct Settings {
    std::chrono::milliseconds interval{};  // 0: silence is no failure.
    bool restarts = false;
    bool needs_quorum = false;
    bool has_keys = false;
    int warn_signal = SIGTERM;
    std::vector<std::byte> data;
    unsigned int life = 0;  // Of the worker.
};

class Supervisor {
  public:
    explicit Supervisor(Settings& settings) : settings_(settings) {}

    // What the policy needs of the cluster. Before the first fork.
    [[nodiscard]] cs_error_t connect();

    // Forks, and comes back in a worker, with its end of the socket; the caller goes on as that.
    // CS_ERR_LIBRARY: there is no first worker; errno. The process that called never comes back
    // otherwise: it exits.
    [[nodiscard]] base::Expected<os::UniqueFd, cs_error_t> run();

  private:
    using Clock = std::chrono::steady_clock;
    enum class Phase { Idle, WaitingForQuorum, Running, Finalized };

    [[nodiscard]] base::Expected<std::optional<os::UniqueFd>, cs_error_t> fork_worker();
    // Until the worker has ended; its wait status.
    int watch();
    void hear();
    [[nodiscard]] cs_error_t obey(const Message& message);
    void answer(cs_error_t result);
    void look_at_quorum();
    void pass_deadline();
    // The worker has failed: first the warning, an interval later the end.
    void warn_or_kill();
    void kill_worker();
    [[nodiscard]] int wait_ms() const;
    [[nodiscard]] bool is_to_be_restarted() const;

    Settings& settings_;
    QuorumWatch quorum_;
    StateKeys keys_;

    pid_t worker_ = 0;
    os::UniqueFd process_;  // Readable when the worker has ended.
    os::UniqueFd commands_;
    Phase phase_ = Phase::Idle;
    bool was_running_ = false;  // Its end was, or is, a failure.
    bool is_warned_ = false;
    bool is_beyond_help_ = false;
    std::optional<Clock::time_point> deadline_;
};

}  // namespace sam
