// cpgd: closed process groups for the programs of this node, over the order that ringd makes.
#include <sysexits.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "common/daemon/confine.hpp"
#include "common/daemon/reload.hpp"
#include "common/daemon/start.hpp"
#include "common/daemon/trust.hpp"
#include "common/ipc/status_server.hpp"
#include "common/os/handed_down.hpp"
#include "common/os/notify.hpp"
#include "common/os/signal_fd.hpp"
#include "common/zmtp/former_connections.hpp"
#include "cpgd/driver/driver.hpp"
#include "cpgd/driver/status_json.hpp"

namespace {

class Program {
  public:
    explicit Program(daemon_start::Started started) : started_(std::move(started)) {}

    // Gives the exit status.
    int run();

  private:
    bool open();
    std::optional<os::SnapshotFile> open_snapshots();
    bool open_status();
    void take_access_rules();
    void on_signal(int signal);
    base::Expected<nlohmann::json, std::string> change_access(const nlohmann::json& rule,
                                                              bool allow);

    daemon_start::Started started_;
    const config::ClusterConfig& config_ = started_.loaded.cluster;
    logging::Log& log_ = started_.log;
    config::UidGid of_file_;  // Those of the rules that the configuration file brought.

    os::HandedDown handed_down_ = os::HandedDown::take_all();
    std::unique_ptr<os::EventLoop> loop_;
    std::unique_ptr<os::SignalFd> signals_;
    std::unique_ptr<cpgd::Driver> driver_;
    std::unique_ptr<zmtp::FormerConnections> former_;
    std::unique_ptr<ipc::StatusServer> status_;
    std::unique_ptr<daemon_start::Reload> reload_;
    // Found out before privileges go, which may close the way to the user database.
    ipc::StatusServer::Rule daemons_of_node_ = daemon_start::daemons_of_this_node(started_);
};

int Program::run() {
    auto loop = os::EventLoop::create();
    if (!loop) {
        log_.error("cannot start", {{"ERROR", loop.error().text()}});
        return EX_OSERR;
    }
    loop_ = std::make_unique<os::EventLoop>(std::move(*loop));
    if (!open()) return EX_OSERR;

    os::feed_watchdog(*loop_);
    log_.notice("cpgd runs, waiting for the ring", {{"FILE", config_.file}});
    if (const auto ran = loop_->run(); !ran) {
        log_.error("the event loop failed", {{"ERROR", ran.error().text()}});
        return EX_OSERR;
    }
    // What comes next goes on from here; who leaves for good is taken out by ringd.
    driver_->store_snapshot();
    log_.notice("cpgd ends");
    return EX_OK;
}

bool Program::open() {
    if (!daemon_start::confine(started_, {})) return false;
    auto signals = os::SignalFd::create(*loop_, {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1},
                                        [this](int signal) { on_signal(signal); });
    if (!signals) {
        log_.error("cannot start", {{"ERROR", signals.error().text()}});
        return false;
    }
    signals_ = std::move(*signals);

    auto listener = [this] {
        if (auto handed = handed_down_.take("cpg"))
            return zmtp::Listener::inherit(std::move(*handed));
        return zmtp::Listener::listen(started_.in_run("cpg"));
    }();
    if (!listener) {
        log_.error("cannot open the socket for clients", {{"ERROR", listener.error().text()}});
        return false;
    }
    cpgd::Driver::Options options{
        .ring_path = started_.in_run("ring"), .access = {}, .rules_path = {}, .core = {}};
    options.access.own_uid = ::geteuid();
    options.rules_path = started_.in_run("cmapd/access");
    auto driver =
        cpgd::Driver::create(*loop_, log_, options, std::move(*listener), open_snapshots());
    if (!driver) {
        log_.error("cannot serve clients", {{"ERROR", driver.error().text()}});
        return false;
    }
    driver_ = std::move(*driver);
    take_access_rules();
    former_ = std::make_unique<zmtp::FormerConnections>(*loop_);
    while (auto connection = handed_down_.take(cpgd::kKeptConnection)) {
        former_->add(std::move(*connection));
    }
    driver_->on_serving([this] {
        log_.notice("serving clients", {{"FORMER_CONNECTIONS", former_->count()}});
        former_->tell();
        os::notify_ready();
    });
    return open_status();
}

// What uidgid {} says now. What "allow" and "disallow" said stays, unless the file says it, too.
void Program::take_access_rules() {
    session::Access& access = driver_->access();
    for (const std::uint32_t uid : of_file_.uids)
        access.uids.erase(uid);
    for (const std::uint32_t gid : of_file_.gids)
        access.gids.erase(gid);
    of_file_ = config_.clients;
    access.uids.insert(of_file_.uids.begin(), of_file_.uids.end());
    access.gids.insert(of_file_.gids.begin(), of_file_.gids.end());
}

std::optional<os::SnapshotFile> Program::open_snapshots() {
    auto snapshots = os::SnapshotFile::open(started_.in_private("snapshot"));
    if (snapshots) return std::move(*snapshots);
    log_.warning("no place for snapshots, a restart will be a fresh one",
                 {{"ERROR", snapshots.error().text()}});
    return std::nullopt;
}

void Program::on_signal(int signal) {
    if (signal == SIGHUP) {
        if (const auto opened = log_.reopen_file(); !opened) {
            log_.warning("cannot open the log file again, going on without",
                         {{"ERROR", opened.error().text()}});
        }
        return;
    }
    if (signal == SIGUSR1) {
        log_.set_level(log_.is_debug() ? logging::Level::Info : logging::Level::Debug);
        log_.notice("debug lines switched", {{"DEBUG", log_.is_debug()}});
        return;
    }
    os::notify_stopping();
    loop_->stop();
}

// {"uid": 1000} or {"gid": 189}: what uidgid {} says, until the next start.
base::Expected<nlohmann::json, std::string> Program::change_access(const nlohmann::json& rule,
                                                                   bool allow) {
    const bool is_rule = rule.is_object() && rule.size() == 1 &&
                         rule.begin()->is_number_unsigned() &&
                         (rule.contains("uid") || rule.contains("gid"));
    if (!is_rule) return base::fail(std::string(R"(value: needs {"uid": N} or {"gid": N})"));
    auto& ids = rule.contains("uid") ? driver_->access().uids : driver_->access().gids;
    const auto id = rule.begin()->get<std::uint32_t>();
    if (allow) {
        ids.insert(id);
    } else {
        ids.erase(id);
    }
    return rule;
}

bool Program::open_status() {
    const std::string name = "cpgd.status";
    ipc::StatusServer::Options options{.daemon = "cpgd",
                                       .path = started_.in_run(name),
                                       .listener = {},
                                       .may_get = daemons_of_node_,
                                       .may_do = daemons_of_node_};
    auto handed = handed_down_.take(name);
    if (handed) options.listener = handed->release();
    auto status = ipc::StatusServer::create(*loop_, std::move(options));
    if (!status) {
        log_.error("cannot open the status socket", {{"ERROR", status.error().text()}});
        return false;
    }
    status_ = std::move(*status);
    status_->on_get("status", [this] { return cpgd::status_json(driver_->status()); });
    status_->on_get("counters",
                    [this] { return cpgd::status_json(driver_->status())["counters"]; });
    reload_ = std::make_unique<daemon_start::Reload>(
        started_, daemon_start::Reload::Hooks{
                      .prepare = {}, .abandon = {}, .commit = [this] { take_access_rules(); }});
    reload_->serve(*status_);
    status_->on_do("allow", [this](const auto& rule) { return change_access(rule, true); });
    status_->on_do("disallow", [this](const auto& rule) { return change_access(rule, false); });
    status_->on_do(
        "debug",
        [this](const nlohmann::json& value) -> base::Expected<nlohmann::json, std::string> {
            if (!value.is_boolean()) return base::fail(std::string("value: needs true or false"));
            log_.set_level(value.get<bool>() ? logging::Level::Debug : logging::Level::Info);
            return value;
        });
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    auto started = daemon_start::start("cpgd", argc, argv);
    if (const auto* status = std::get_if<daemon_start::Ended>(&started)) return *status;
    return Program(std::get<daemon_start::Started>(std::move(started))).run();
}
