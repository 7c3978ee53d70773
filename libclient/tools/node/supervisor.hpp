// Runs the daemons of one node without a service manager: opens their sockets, starts them, starts
// again what dies, keeps descriptors for it, and ends them in order.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.hpp"
#include "common/log/log.hpp"
#include "common/os/event_loop.hpp"
#include "common/os/identity.hpp"
#include "common/os/signal_fd.hpp"
#include "common/os/unique_fd.hpp"
#include "libclient/tools/node/notify_socket.hpp"
#include "libclient/tools/node/restart_delay.hpp"

namespace node {

struct Settings {
    std::string config_file;  // All paths absolute.
    std::string run_folder;
    std::string state_folder;
    std::string program_folder;  // Where ringd and the others are.
    std::optional<base::NodeId> node_id;
    std::string user_prefix;    // Users of the daemons when we are root: <prefix>-ringd and so on.
    std::string group;          // Of them all.
    bool real_time = false;     // Of ringd.
    std::string key_file;       // Which root reads for ringd; empty: none is needed.
    base::Duration watchdog{};  // 0: none.
};

class Supervisor {
  public:
    // Opens sockets and starts the daemons whose programs exist; ringd must.
    static os::Result<std::unique_ptr<Supervisor>> create(Settings settings, os::EventLoop& loop,
                                                          logging::Log& log);
    ~Supervisor();
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    // What the program ends with, once the loop has stopped: 0, or 78 or 64 when a daemon refused
    // its configuration or command line, or 81 when the node was killed by another one.
    [[nodiscard]] int exit_code() const { return exit_code_; }

  private:
    struct Daemon {
        std::string name;
        std::optional<os::Identity> identity;  // Nothing: ours.
        std::vector<std::pair<std::string, os::UniqueFd>> sockets;
        std::vector<std::pair<std::string, os::UniqueFd>> stored;  // The descriptor store.
        pid_t pid = 0;                                             // 0: not running.
        base::Instant started{};
        bool is_ready = false;
        RestartDelay delay;
        std::optional<base::Instant> restart_at;
        std::optional<base::Instant> fed_until;  // Of the watchdog.
    };
    enum class Phase { Running, StoppingServices, LeavingRing };

    Supervisor(Settings settings, os::EventLoop& loop, logging::Log& log)
        : settings_(std::move(settings)), loop_(loop), log_(log) {}

    os::Result<void> prepare_folders();
    os::Result<void> prepare_daemons();
    os::Result<void> prepare_folders_of(const Daemon& daemon);
    [[nodiscard]] std::optional<os::Identity> identity_of(const std::string& daemon) const;
    os::Result<void> hand_over_key(const Daemon& daemon);
    [[nodiscard]] std::string credentials_of(const Daemon& daemon) const;
    os::Result<void> open_sockets();
    os::Result<void> watch();
    void start_daemon(Daemon& daemon);
    void on_signal(int signal);
    void reap();
    void on_death(Daemon& daemon, int status);
    void send_obituary();
    void on_notify();
    void take(Daemon& daemon, Notification notification);
    void store(Daemon& daemon, const NotifyMessage& message, os::UniqueFd fd);
    [[nodiscard]] static bool may_go_on(const Daemon& ring);
    void stop_node(int exit_code);
    void advance_stop();
    void kill_all(int signal);
    [[nodiscard]] std::optional<base::Instant> next_deadline() const;
    void pass_deadlines();
    [[nodiscard]] bool is_running(const Daemon& daemon) const { return daemon.pid != 0; }

    Settings settings_;
    os::EventLoop& loop_;
    logging::Log& log_;
    std::optional<gid_t> group_;  // The daemons' common one, when we are root.
    os::UniqueFd lock_;
    std::unique_ptr<NotifySocket> notify_;
    std::unique_ptr<os::SignalFd> signals_;
    std::vector<Daemon> daemons_;  // ringd first.
    Phase phase_ = Phase::Running;
    std::optional<base::Instant> kill_at_;  // While stopping.
    bool is_up_ = false;                    // All were ready once.
    int exit_code_ = 0;
};

}  // namespace node
