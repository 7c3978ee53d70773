#include "common/daemon/program.hpp"

#include <sysexits.h>
#include <unistd.h>

#include <csignal>

#include "common/daemon/sanitized.hpp"
#include "common/daemon/trust.hpp"
#include "common/os/notify.hpp"

namespace daemon_start {

Program::Program(Started started)
    : started_(std::move(started)),
      handed_down_(os::HandedDown::take_all()),
      daemons_of_node_(daemons_of_this_node(started_)) {}

int Program::run() {
    auto loop = os::EventLoop::create();
    if (!loop) {
        log_.error("cannot start", {{"ERROR", loop.error().text()}});
        return EX_OSERR;
    }
    loop_ = std::make_unique<os::EventLoop>(std::move(*loop));
    auto signals =
        os::SignalFd::create(*loop_, {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2},
                             [this](int signal) { on_signal(signal); });
    if (!signals) {
        log_.error("cannot start", {{"ERROR", signals.error().text()}});
        return EX_OSERR;
    }
    signals_ = std::move(*signals);
    if (const auto failed = open()) return *failed;
    os::feed_watchdog(*loop_);
    if (const auto ran = loop_->run(); !ran) {
        log_.error("the event loop failed", {{"ERROR", ran.error().text()}});
        return EX_OSERR;
    }
    return ended();
}

int Program::run_to_the_end() {
    const int status = run();
    if constexpr (!kIsSanitized) ::_exit(status);
    return status;
}

void Program::on_signal(int signal) {
    if (signal == SIGHUP) {
        // Only the file is opened again; the lines go on to where they went.
        if (const auto opened = log_.reopen_file(); !opened) {
            log_.warning("cannot open the log file again, going on without",
                         {{"ERROR", opened.error().text()}});
        }
    } else if (signal == SIGUSR1) {
        set_debug(!log_.is_debug());
        log_.notice("debug lines switched", {{"DEBUG", log_.is_debug()}});
    } else if (signal == SIGUSR2) {
        end_for_restart(signal);
    } else {
        end(signal);
    }
}

void Program::end(int /*signal*/) {
    os::notify_stopping();
    loop_->stop();
}

void Program::set_debug(bool is_debug) {
    log_.set_level(is_debug ? logging::Level::Debug : logging::Level::Info);
}

std::optional<zmtp::Listener> Program::listen(const std::string& name) {
    auto handed = handed_down_.take(name);
    auto listener = handed ? zmtp::Listener::inherit(std::move(*handed))
                           : zmtp::Listener::listen(started_.in_run(name));
    if (listener) return std::move(*listener);
    log_.error("cannot open a socket for clients",
               {{"SOCKET", started_.in_run(name)}, {"ERROR", listener.error().text()}});
    return std::nullopt;
}

bool Program::open_status() {
    const std::string name = started_.daemon + ".status";
    ipc::StatusServer::Options options{
        .daemon = started_.daemon,
        .path = started_.in_run(name),
        .listener = {},
        .may_get = [rule = daemons_of_node_](
                       const ipc::Peer& peer) { return peer.gid == 0 || rule(peer); },
        .may_do = daemons_of_node_};
    if (auto handed = handed_down_.take(name)) options.listener = handed->release();
    auto status = ipc::StatusServer::create(*loop_, std::move(options));
    if (!status) {
        log_.error("cannot open the status socket", {{"ERROR", status.error().text()}});
        return false;
    }
    status_ = std::move(*status);
    status_->on_do(
        "debug",
        [this](const nlohmann::json& value) -> base::Expected<nlohmann::json, std::string> {
            if (!value.is_boolean()) return base::fail(std::string("value: needs true or false"));
            set_debug(value.get<bool>());
            return value;
        });
    return true;
}

}  // namespace daemon_start
