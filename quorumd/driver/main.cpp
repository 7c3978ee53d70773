// quorumd: whether this node's partition may act, for the programs of this node, over the order
// that ringd makes.
#include <sysexits.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "common/daemon/confine.hpp"
#include "common/daemon/reload.hpp"
#include "common/daemon/start.hpp"
#include "common/daemon/trust.hpp"
#include "common/ipc/status_server.hpp"
#include "common/os/clock.hpp"
#include "common/os/handed_down.hpp"
#include "common/os/identity.hpp"
#include "common/os/notify.hpp"
#include "common/os/signal_fd.hpp"
#include "quorumd/driver/driver.hpp"
#include "quorumd/driver/settings.hpp"
#include "quorumd/driver/status_json.hpp"

namespace {

using Done = base::Expected<nlohmann::json, std::string>;

class Program {
  public:
    explicit Program(daemon_start::Started started) : started_(std::move(started)) {}

    // Gives the exit status.
    int run();

  private:
    bool open();
    bool listen(const std::string& name, protocol::session::Service service);
    std::optional<os::SnapshotFile> open_snapshots();
    bool open_status();
    void on_signal(int signal);
    void reload();
    void take_access_rules();
    Done change_access(const nlohmann::json& rule, bool allow);
    Done request(decltype(quorum::Request::what) what);

    daemon_start::Started started_;
    const config::ClusterConfig& config_ = started_.loaded.cluster;
    logging::Log& log_ = started_.log;

    os::HandedDown handed_down_ = os::HandedDown::take_all();
    std::unique_ptr<os::EventLoop> loop_;
    std::unique_ptr<os::SignalFd> signals_;
    std::unique_ptr<quorumd::Driver> driver_;
    std::unique_ptr<ipc::StatusServer> status_;
    std::unique_ptr<daemon_start::Reload> reload_;
    // cmapd asks who is quorate. Found out before the user database is out of reach.
    const std::optional<gid_t> daemons_gid_ = os::group_id(config_.system.group);
    config::UidGid of_file_;  // Those of the rules that the configuration file brought.
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
    log_.notice("quorumd runs, waiting for the ring", {{"FILE", config_.file}});
    if (const auto ran = loop_->run(); !ran) {
        log_.error("the event loop failed", {{"ERROR", ran.error().text()}});
        return EX_OSERR;
    }
    // What comes next goes on from here; who leaves for good is taken out by ringd.
    driver_->keep();
    log_.notice("quorumd ends");
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

    quorumd::Driver::Options options{
        .ring_path = started_.in_run("ring"), .access = {}, .core = quorumd::settings_of(config_)};
    options.access.own_uid = ::geteuid();
    options.access.daemons_gid = daemons_gid_;
    const std::string state = config::state_folder_of(started_.options, config_.system.state_dir) +
                              "/quorum_" + std::to_string(config_.self->value());
    driver_ = std::make_unique<quorumd::Driver>(*loop_, log_, std::move(options),
                                                quorumd::Memory(open_snapshots(), state));
    take_access_rules();
    driver_->clients().server().follow_rules(started_.in_run("cmapd/access"));
    using protocol::session::Service;
    if (!listen("quorum", Service::Quorum) || !listen("votequorum", Service::Votequorum))
        return false;
    session::Server& server = driver_->clients().server();
    while (auto connection = handed_down_.take(session::kKeptConnection)) {
        server.add_former(std::move(*connection));
    }
    driver_->on_serving([this, &server] {
        log_.notice("serving clients", {{"FORMER_CONNECTIONS", server.former()}});
        os::notify_ready();
    });
    driver_->start();
    return open_status();
}

bool Program::listen(const std::string& name, protocol::session::Service service) {
    auto listener = [&] {
        if (auto handed = handed_down_.take(name))
            return zmtp::Listener::inherit(std::move(*handed));
        return zmtp::Listener::listen(started_.in_run(name));
    }();
    if (!listener) {
        log_.error("cannot open the socket for clients", {{"ERROR", listener.error().text()}});
        return false;
    }
    const auto listening = driver_->clients().server().listen(std::move(*listener), service);
    if (!listening) log_.error("cannot serve clients", {{"ERROR", listening.error().text()}});
    return listening.has_value();
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

// What uidgid {} says now. What "allow" and "disallow" said stays, unless the file says it, too.
void Program::take_access_rules() {
    session::Access& access = driver_->clients().server().access();
    for (const std::uint32_t uid : of_file_.uids)
        access.uids.erase(uid);
    for (const std::uint32_t gid : of_file_.gids)
        access.gids.erase(gid);
    of_file_ = config_.clients;
    access.uids.insert(of_file_.uids.begin(), of_file_.uids.end());
    access.gids.insert(of_file_.gids.begin(), of_file_.gids.end());
}

// Takes from the new configuration what a running cluster may change.
void Program::reload() {
    take_access_rules();
    quorum::Config fresh = quorumd::settings_of(config_);
    const quorum::Config& old = driver_->config();
    // The others hold from start to end, as in Corosync.
    fresh.is_free = old.is_free;
    fresh.tracks_expected_votes = old.tracks_expected_votes;
    fresh.last_man_standing_window = old.last_man_standing_window;
    const bool two_node = fresh.options.rules.two_node;
    fresh.options.rules = old.options.rules;
    fresh.options.rules.two_node = two_node;
    driver_->reconfigure(fresh);
}

// {"uid": 1000} or {"gid": 189}: what uidgid {} says, until the next start.
Done Program::change_access(const nlohmann::json& rule, bool allow) {
    const bool is_rule = rule.is_object() && rule.size() == 1 &&
                         rule.begin()->is_number_unsigned() &&
                         (rule.contains("uid") || rule.contains("gid"));
    if (!is_rule) return base::fail(std::string(R"(value: needs {"uid": N} or {"gid": N})"));
    auto& access = driver_->clients().server().access();
    auto& ids = rule.contains("uid") ? access.uids : access.gids;
    const auto id = rule.begin()->get<std::uint32_t>();
    if (allow) {
        ids.insert(id);
    } else {
        ids.erase(id);
    }
    return rule;
}

// Submitted: what came of it, the status tells.
Done Program::request(decltype(quorum::Request::what) what) {
    if (!driver_->status().is_serving)
        return base::fail(std::string("nothing has been decided yet, try again"));
    driver_->step(quorum::Request{.token = {}, .what = std::move(what)});
    return nlohmann::json{{"submitted", true}};
}

bool Program::open_status() {
    const std::string name = "quorumd.status";
    ipc::StatusServer::Options options{.daemon = "quorumd",
                                       .path = started_.in_run(name),
                                       .listener = {},
                                       .may_get = {},
                                       .may_do = daemon_start::daemons_of_this_node(started_)};
    auto handed = handed_down_.take(name);
    if (handed) options.listener = handed->release();
    auto status = ipc::StatusServer::create(*loop_, std::move(options));
    if (!status) {
        log_.error("cannot open the status socket", {{"ERROR", status.error().text()}});
        return false;
    }
    status_ = std::move(*status);
    const auto all = [this] {
        return quorumd::status_json(driver_->status(), driver_->config(),
                                    driver_->clients().server(), os::now());
    };
    status_->on_get("status", all);
    status_->on_get("counters", [all] { return all()["counters"]; });
    status_->on_do("allow", [this](const auto& rule) { return change_access(rule, true); });
    status_->on_do("disallow", [this](const auto& rule) { return change_access(rule, false); });
    reload_ = std::make_unique<daemon_start::Reload>(
        started_,
        daemon_start::Reload::Hooks{.prepare = {}, .abandon = {}, .commit = [this] { reload(); }});
    reload_->serve(*status_);
    status_->on_do("cancel_wait_for_all",
                   [this](const auto&) { return request(quorum::CancelWaitForAll{}); });
    status_->on_do("expect", [this](const nlohmann::json& value) -> Done {
        if (!value.is_number_unsigned() || value < 1 || value > quorum::kVotesMax)
            return base::fail(std::string("value: needs a number of votes, 1 to 65535"));
        return request(quorum::SetExpected{.expected_votes = value.get<std::uint32_t>()});
    });
    status_->on_do("leave", [this](const auto&) -> Done {
        driver_->step(quorum::Leave{});
        return nlohmann::json{{"submitted", true}};
    });
    status_->on_do("debug", [this](const nlohmann::json& value) -> Done {
        if (!value.is_boolean()) return base::fail(std::string("value: needs true or false"));
        log_.set_level(value.get<bool>() ? logging::Level::Debug : logging::Level::Info);
        return value;
    });
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    auto started = daemon_start::start("quorumd", argc, argv);
    if (const auto* status = std::get_if<daemon_start::Ended>(&started)) return *status;
    return Program(std::get<daemon_start::Started>(std::move(started))).run();
}
