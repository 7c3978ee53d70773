// quorumd: whether this node's partition may act, for the programs of this node, over the order
// that ringd makes.
#include <sysexits.h>
#include <unistd.h>

#include <memory>

#include "common/daemon/client_rules.hpp"
#include "common/daemon/confine.hpp"
#include "common/daemon/program.hpp"
#include "common/daemon/reload.hpp"
#include "common/os/clock.hpp"
#include "common/os/identity.hpp"
#include "common/os/notify.hpp"
#include "quorumd/driver/driver.hpp"
#include "quorumd/driver/settings.hpp"
#include "quorumd/driver/status_json.hpp"

namespace {

using Done = base::Expected<nlohmann::json, std::string>;

class Program final : public daemon_start::Program {
  public:
    explicit Program(daemon_start::Started started) : daemon_start::Program(std::move(started)) {}

  private:
    std::optional<int> open() override;
    int ended() override;
    bool serve(const std::string& name, protocol::session::Service service);
    std::optional<os::SnapshotFile> open_snapshots();
    void serve_status();
    void reload();
    Done request(decltype(quorum::Request::what) what);

    std::unique_ptr<quorumd::Driver> driver_;
    std::unique_ptr<daemon_start::ClientRules> rules_;
    std::unique_ptr<daemon_start::Reload> reload_;
    // cmapd asks who is quorate. Found out before the user database is out of reach.
    const std::optional<gid_t> daemons_gid_ = os::group_id(config_.system.group);
};

std::optional<int> Program::open() {
    if (!daemon_start::confine(started_, {})) return EX_OSERR;
    quorumd::Driver::Options options{
        .ring_path = started_.in_run("ring"), .access = {}, .core = quorumd::settings_of(config_)};
    options.access.own_uid = ::geteuid();
    options.access.daemons_gid = daemons_gid_;
    const std::string state = config::state_folder_of(started_.options, config_.system.state_dir) +
                              "/quorum_" + std::to_string(config_.self->value());
    driver_ = std::make_unique<quorumd::Driver>(loop(), log_, std::move(options),
                                                quorumd::Memory(open_snapshots(), state));
    session::Server& server = driver_->clients().server();
    rules_ = std::make_unique<daemon_start::ClientRules>(server.access());
    rules_->take(config_.clients);
    server.follow_rules(started_.in_run("cmapd/access"));
    using protocol::session::Service;
    if (!serve("quorum", Service::Quorum) || !serve("votequorum", Service::Votequorum))
        return EX_OSERR;
    while (auto connection = handed_down_.take(session::kKeptConnection)) {
        server.add_former(std::move(*connection));
    }
    driver_->on_serving([this, &server] {
        log_.notice("serving clients", {{"FORMER_CONNECTIONS", server.former()}});
        os::notify_ready();
    });
    driver_->start();
    if (!open_status()) return EX_OSERR;
    serve_status();
    log_.notice("quorumd runs, waiting for the ring", {{"FILE", config_.file}});
    return std::nullopt;
}

int Program::ended() {
    // What comes next goes on from here; who leaves for good is taken out by ringd.
    driver_->keep();
    log_.notice("quorumd ends");
    return EX_OK;
}

bool Program::serve(const std::string& name, protocol::session::Service service) {
    auto listener = listen(name);
    if (!listener) return false;
    const auto serving = driver_->clients().server().listen(std::move(*listener), service);
    if (!serving) log_.error("cannot serve clients", {{"ERROR", serving.error().text()}});
    return serving.has_value();
}

std::optional<os::SnapshotFile> Program::open_snapshots() {
    auto snapshots = os::SnapshotFile::open(started_.in_private("snapshot"));
    if (snapshots) return std::move(*snapshots);
    log_.warning("no place for snapshots, a restart will be a fresh one",
                 {{"ERROR", snapshots.error().text()}});
    return std::nullopt;
}

// Takes from the new configuration what a running cluster may change.
void Program::reload() {
    rules_->take(config_.clients);
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

// Submitted: what came of it, the status tells.
Done Program::request(decltype(quorum::Request::what) what) {
    if (!driver_->status().is_serving)
        return base::fail(std::string("nothing has been decided yet, try again"));
    driver_->step(quorum::Request{.token = {}, .what = std::move(what)});
    return nlohmann::json{{"submitted", true}};
}

void Program::serve_status() {
    const auto all = [this] {
        return quorumd::status_json(driver_->status(), driver_->config(),
                                    driver_->clients().server(), os::now());
    };
    status_->on_get("status", all);
    status_->on_get("counters", [all] { return all()["counters"]; });
    rules_->serve(*status_);
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
}

}  // namespace

int main(int argc, char** argv) {
    auto started = daemon_start::start("quorumd", argc, argv);
    if (const auto* status = std::get_if<daemon_start::Ended>(&started)) return *status;
    return Program(std::get<daemon_start::Started>(std::move(started))).run_to_the_end();
}
