// What the programs of all daemons share: the loop, the signals, what was handed down, the sockets,
// and the questions that every daemon answers on its status socket. Each derives its own from it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/config/cluster_config.hpp"
#include "common/daemon/start.hpp"
#include "common/ipc/status_server.hpp"
#include "common/os/event_loop.hpp"
#include "common/os/handed_down.hpp"
#include "common/os/signal_fd.hpp"
#include "common/zmtp/listener.hpp"

namespace daemon_start {

class Program {
  public:
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    virtual ~Program() = default;

    // Opens everything and serves until the loop is stopped. Gives the exit status.
    int run();

    // run(), and the end of the process with what it gave: for main(). Nothing is taken down, for
    // all that has to outlive us is where it has to be when run() is over, clients wait for the
    // next process, and the threads of libzmq alone need a dozen turns of the scheduler to end.
    // Returns the status where a sanitizer wants to see what is left.
    int run_to_the_end();

  protected:
    // Takes the descriptors that were handed down, and asks the user database who the daemons of
    // this node are: one program a process, before privileges go.
    explicit Program(Started started);

    // Opens what the daemon works with. What fails it logs, and gives the exit status. In it the
    // loop and the signals are there.
    virtual std::optional<int> open() = 0;
    // SIGTERM, SIGINT or SIGQUIT. Tells the service manager and stops the loop.
    virtual void end(int signal);
    // SIGUSR2: to be started again. As end(), for a daemon that leaves its state in any case.
    virtual void end_for_restart(int signal) { end(signal); }
    // After the loop: what is kept for the next start. Gives the exit status.
    virtual int ended() = 0;

    [[nodiscard]] os::EventLoop& loop() { return *loop_; }
    // <run folder>/<name>, handed down under that name or made here. Nothing: logged why.
    [[nodiscard]] std::optional<zmtp::Listener> listen(const std::string& name);
    // <run folder>/<daemon>.status, for root, our own user and the daemons' group; group root may
    // ask, but order nothing. False: logged why.
    [[nodiscard]] bool open_status();

    Started started_;
    const config::ClusterConfig& config_ = started_.loaded.cluster;  // The one in force.
    logging::Log& log_ = started_.log;
    os::HandedDown handed_down_;

  private:
    void on_signal(int signal);
    void set_debug(bool is_debug);

    const ipc::StatusServer::Rule daemons_of_node_;
    std::unique_ptr<os::EventLoop> loop_;
    std::unique_ptr<os::SignalFd> signals_;

  protected:
    std::unique_ptr<ipc::StatusServer> status_;  // After open_status().
};

}  // namespace daemon_start
