// cpgd: closed process groups for the programs of this node, over the order that ringd makes.
#include <sysexits.h>
#include <unistd.h>

#include <memory>

#include "common/daemon/client_rules.hpp"
#include "common/daemon/confine.hpp"
#include "common/daemon/program.hpp"
#include "common/daemon/reload.hpp"
#include "common/os/notify.hpp"
#include "common/zmtp/former_connections.hpp"
#include "cpgd/driver/driver.hpp"
#include "cpgd/driver/status_json.hpp"

namespace {

class Program final : public daemon_start::Program {
  public:
    explicit Program(daemon_start::Started started) : daemon_start::Program(std::move(started)) {}

  private:
    std::optional<int> open() override;
    int ended() override;
    std::optional<os::SnapshotFile> open_snapshots();
    void serve_status();

    std::unique_ptr<cpgd::Driver> driver_;
    std::unique_ptr<zmtp::FormerConnections> former_;
    std::unique_ptr<daemon_start::ClientRules> rules_;
    std::unique_ptr<daemon_start::Reload> reload_;
};

std::optional<int> Program::open() {
    if (!daemon_start::confine(started_, {})) return EX_OSERR;
    auto listener = listen("cpg");
    if (!listener) return EX_OSERR;
    cpgd::Driver::Options options{
        .ring_path = started_.in_run("ring"), .access = {}, .rules_path = {}, .core = {}};
    options.access.own_uid = ::geteuid();
    options.rules_path = started_.in_run("cmapd/access");
    auto driver =
        cpgd::Driver::create(loop(), log_, options, std::move(*listener), open_snapshots());
    if (!driver) {
        log_.error("cannot serve clients", {{"ERROR", driver.error().text()}});
        return EX_OSERR;
    }
    driver_ = std::move(*driver);
    rules_ = std::make_unique<daemon_start::ClientRules>(driver_->access());
    rules_->take(config_.clients);
    former_ = std::make_unique<zmtp::FormerConnections>(loop());
    while (auto connection = handed_down_.take(cpgd::kKeptConnection)) {
        former_->add(std::move(*connection));
    }
    driver_->on_serving([this] {
        log_.notice("serving clients", {{"FORMER_CONNECTIONS", former_->count()}});
        former_->tell();
        os::notify_ready();
    });
    if (!open_status()) return EX_OSERR;
    serve_status();
    log_.notice("cpgd runs, waiting for the ring", {{"FILE", config_.file}});
    return std::nullopt;
}

int Program::ended() {
    // What comes next goes on from here; who leaves for good is taken out by ringd.
    driver_->store_snapshot(true);
    log_.notice("cpgd ends");
    return EX_OK;
}

std::optional<os::SnapshotFile> Program::open_snapshots() {
    auto snapshots = os::SnapshotFile::open(started_.in_private("snapshot"));
    if (snapshots) return std::move(*snapshots);
    log_.warning("no place for snapshots, a restart will be a fresh one",
                 {{"ERROR", snapshots.error().text()}});
    return std::nullopt;
}

void Program::serve_status() {
    status_->on_get("status", [this] {
        auto json = cpgd::status_json(driver_->status());
        json["areas"] = cpgd::areas_json(driver_->areas());
        return json;
    });
    status_->on_get("counters",
                    [this] { return cpgd::status_json(driver_->status())["counters"]; });
    reload_ = std::make_unique<daemon_start::Reload>(
        started_, daemon_start::Reload::Hooks{.prepare = {}, .abandon = {}, .commit = [this] {
                                                  rules_->take(config_.clients);
                                              }});
    reload_->serve(*status_);
    rules_->serve(*status_);
}

}  // namespace

int main(int argc, char** argv) {
    auto started = daemon_start::start("cpgd", argc, argv);
    if (const auto* status = std::get_if<daemon_start::Ended>(&started)) return *status;
    return Program(std::get<daemon_start::Started>(std::move(started))).run_to_the_end();
}
