// cmapd: the configuration of this node as keys, one safe way to change it on all nodes, and
// cluster control.
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "cmapd/driver/configuration_keys.hpp"
#include "cmapd/driver/control.hpp"
#include "cmapd/driver/driver.hpp"
#include "cmapd/driver/statistics.hpp"
#include "cmapd/driver/status_json.hpp"
#include "common/daemon/confine.hpp"
#include "common/daemon/program.hpp"
#include "common/os/notify.hpp"
#include "common/protocol/quorum_api.hpp"
#include "common/session/watcher.hpp"

namespace {

// What SQLite, and copying its files, do beside what all daemons do.
constexpr std::array kCalls{"fallocate", "fchown", "sendfile", "copy_file_range", "rmdir"};

// What the service manager keeps for us while the node runs, and drops when it stops: as long as it
// is there, the keys of the run folder count.
constexpr const char* kRunMark = "run";

constexpr base::Duration kShutdownVotes = std::chrono::seconds(5);

class Program final : public daemon_start::Program {
  public:
    explicit Program(daemon_start::Started started) : daemon_start::Program(std::move(started)) {}

  private:
    std::optional<int> open() override;
    int ended() override;
    std::optional<cmapd::KeysStore> open_store();
    bool serve(const char* name, session::Service service);
    bool open_control();
    void collect_stats(const std::function<void(cmap::Values)>& give);
    void serve_status();
    void watch_quorum();
    void on_event(const protocol::Event& event);
    [[nodiscard]] base::Duration shutdown_timeout() const;

    std::unique_ptr<cmapd::Driver> driver_;
    std::unique_ptr<session::Watcher> quorum_;
    std::optional<std::pair<base::RingId, bool>> votes_of_;  // Whose keys were asked for.
    // Sessions as statistics name them: their ids are secrets.
    std::map<session::SessionId, std::uint64_t> session_numbers_;
    std::uint64_t last_session_ = 0;
    cmapd::Cleared cleared_;
    std::unique_ptr<cmapd::Control> control_;
};

std::optional<int> Program::open() {
    // What only we may read is made so; the rules in our folder are for the other daemons too.
    (void)::umask(0077);
    (void)::chmod(started_.in_run("cmapd").c_str(), 0711);  // Fails where the folder is not ours.
    // Names in the configuration are resolved at a reload, too.
    if (!daemon_start::confine(started_, {.network = true, .secret = false, .calls = kCalls}))
        return EX_OSERR;
    auto store = open_store();
    if (!store) return EX_IOERR;
    cmapd::Driver::Options options{.ring_path = started_.in_run("ring"),
                                   .access_path = started_.in_private("access"),
                                   .access = {},
                                   .nodes = config_.nodes.size(),
                                   .self = *config_.self};
    options.access.own_uid = ::geteuid();
    driver_ = std::make_unique<cmapd::Driver>(loop(), log_, options, *std::move(store));
    if (!serve("cmap", session::Service::Cmap) || !serve("cfg", session::Service::Cfg))
        return EX_OSERR;
    while (auto connection = handed_down_.take(session::kKeptConnection)) {
        driver_->sessions().add_former(std::move(*connection));
    }
    if (!open_control() || !open_status()) return EX_OSERR;
    serve_status();
    watch_quorum();
    log_.notice("cmapd runs", {{"FILE", config_.file},
                               {"KEYS", driver_->core().keys().all().size()},
                               {"FORMER_CONNECTIONS", driver_->sessions().former()}});
    driver_->serve();
    os::notify_ready();
    return std::nullopt;
}

int Program::ended() {
    driver_->close();
    log_.notice("cmapd ends");
    return EX_OK;
}

std::optional<cmapd::KeysStore> Program::open_store() {
    const std::string state_folder =
        config::state_folder_of(started_.options, config_.system.state_dir);
    std::error_code failure;  // The database says what is wrong with the folder.
    std::filesystem::create_directories(state_folder, failure);
    const bool is_same_run = handed_down_.take(kRunMark).has_value();
    auto store = cmapd::KeysStore::open({.run_path = started_.in_private("keys"),
                                         .state_path = state_folder + "/keys.db",
                                         .is_same_run = is_same_run},
                                        log_);
    if (!store || is_same_run) return store;
    const os::UniqueFd mark(::eventfd(0, EFD_CLOEXEC));
    if (const auto kept = os::store_descriptor(kRunMark, mark.get()); !kept) {
        log_.info("nobody keeps a mark of this run, a restart will forget its keys",
                  {{"ERROR", kept.error().text()}});
    }
    return store;
}

bool Program::serve(const char* name, session::Service service) {
    auto listener = listen(name);
    if (!listener) return false;
    if (const auto served = driver_->sessions().listen(std::move(*listener), service); !served) {
        log_.error("cannot serve clients", {{"ERROR", served.error().text()}});
        return false;
    }
    return true;
}

bool Program::open_control() {
    auto control = cmapd::Control::create(
        {.loop = loop(),
         .log = log_,
         .started = started_,
         .sessions = driver_->sessions(),
         .submit = [this](base::Buffer record) { driver_->submit(std::move(record)); },
         .set_key =
             [this](const std::string& key, const std::optional<config::KeyValue>& value) {
                 std::optional<cmap::Value> made;
                 if (value) made = cmapd::value_of(*value);
                 driver_->write({{.key = key, .value = std::move(made)}});
             },
         .configure =
             [this](const config::Loaded& loaded) {
                 driver_->configure(cmapd::configuration_keys(loaded));
                 driver_->set_nodes(loaded.cluster.nodes.size());
             },
         .shutdown_timeout = [this] { return shutdown_timeout(); }});
    if (!control) {
        log_.error("cannot start", {{"ERROR", control.error().text()}});
        return false;
    }
    control_ = std::move(*control);
    driver_->add_service(
        session::Service::Cfg,
        {.opened = [](auto, const auto&) {},
         .request = [this](auto id, auto number,
                           const base::Buffer& payload) { control_->request(id, number, payload); },
         .closed = [this](auto id, auto) { control_->closed(id); }});
    driver_->observe([this](const std::vector<cmap::Change>& changes) {
        const auto cancels = [](const cmap::Change& change) {
            return change.key == "quorum.cancel_wait_for_all" && change.new_value &&
                   protocol::cmap::as<std::uint8_t>(*change.new_value) == 1;
        };
        if (std::ranges::any_of(changes, cancels)) control_->cancel_wait_for_all();
    });
    driver_->on_channel([this](const protocol::Event& event) { on_event(event); });
    driver_->on_resumed([this] { control_->resumed(driver_->core().replica().view()); });
    driver_->on_collect_stats([this](const auto& give) { collect_stats(give); });
    // What is counted from now on counts, also when nobody asks for long.
    driver_->on_clear_stats([this](const std::string& which) {
        cleared_.clear(which);
        collect_stats([](const cmap::Values&) {});
    });
    // A restart goes on with the keys as they are.
    if (driver_->is_fresh()) {
        control_->set_first_keys();
    } else {
        for (const auto& [key, entry] : driver_->core().keys().all())
            control_->restore(key, entry.value);
    }
    return true;
}

void Program::collect_stats(const std::function<void(cmap::Values)>& give) {
    control_->numbers([this, give](const cmapd::DaemonNumbers& daemons) {
        config::Keys keys = cmapd::stats_of(daemons);
        const auto sessions = driver_->sessions().sessions();
        std::map<session::SessionId, std::uint64_t> numbers;
        for (const session::SessionStatus& session : sessions) {
            const auto known = session_numbers_.find(session.id);
            const std::uint64_t number =
                known == session_numbers_.end() ? ++last_session_ : known->second;
            numbers.emplace(session.id, number);
            cmapd::add_ipc_keys({.service = static_cast<std::uint32_t>(session.client.service),
                                 .pid = session.client.pid,
                                 .id = number,
                                 .requests = session.requests,
                                 .events = session.events,
                                 .queued_bytes = session.queued_bytes},
                                keys);
        }
        session_numbers_ = std::move(numbers);
        cmapd::add_ipc_totals(driver_->sessions().counters().opened, sessions.size(), daemons,
                              keys);
        cleared_.apply(keys);
        cmap::Values values = cmapd::values_of(keys);
        values.merge(cmapd::schedule_misses(daemons.ringd_counters,
                                            cleared_.misses_cleared_ms(daemons.ringd_counters)));
        give(std::move(values));
    });
}

// Where votes are counted, keys of the cluster change in quorate rings only: not before quorumd has
// said so, and not while it is away, also where it has not been started yet.
void Program::watch_quorum() {
    const std::string path = started_.in_run("quorum");
    if (!config_.quorum.is_votequorum && !std::filesystem::exists(path)) return;
    const auto nobody = [this] { driver_->quorum({}, false, std::nullopt); };
    nobody();
    quorum_ = std::make_unique<session::Watcher>(
        loop(),
        session::Watcher::Options{.path = path,
                                  .service = session::Service::Quorum,
                                  .subscription = protocol::quorum::encode(
                                      protocol::quorum::Request{protocol::quorum::TrackLease{}})},
        session::Watcher::Callbacks{
            .subscribed = [](const base::Buffer&) {},
            .event =
                [this](const base::Buffer& payload) {
                    const auto answer = protocol::quorum::decode_answer(payload);
                    const auto* event =
                        answer ? std::get_if<protocol::quorum::QuorumEvent>(&*answer) : nullptr;
                    if (event == nullptr) return;
                    std::optional<base::Instant> until;
                    if (event->until_ns != 0)
                        until = base::Instant{std::chrono::nanoseconds{event->until_ns}};
                    driver_->quorum(event->ring, event->quorate, until);
                    const std::pair now{event->ring, event->quorate};
                    if (std::exchange(votes_of_, now) != now) control_->votes_changed();
                },
            .lost = nobody});
}

// cfg.shutdown_timeout, in ms, which clients may set.
base::Duration Program::shutdown_timeout() const {
    const cmap::Value* value = driver_->core().keys().find("cfg.shutdown_timeout");
    const auto ms = value == nullptr ? std::nullopt : protocol::cmap::as<std::uint32_t>(*value);
    return ms ? std::chrono::milliseconds{*ms} : kShutdownVotes;
}

void Program::serve_status() {
    status_->on_get("status", [this] { return cmapd::status_json(*driver_); });
    status_->on_get("counters", [this] { return cmapd::status_json(*driver_)["counters"]; });
    status_->on_get("reload", [this] { return control_->last_reload(); });
    status_->on_get("keys", [this] {
        nlohmann::json keys = nlohmann::json::object();
        for (const auto& [key, entry] : driver_->core().keys().all()) {
            keys[key] = cmapd::value_json(entry.value);
        }
        return keys;
    });
}

void Program::on_event(const protocol::Event& event) {
    if (const auto* view = std::get_if<protocol::View>(&event.what)) {
        control_->view(*view);
    } else if (const auto* batch = std::get_if<protocol::Batch>(&event.what)) {
        if (cmapd::is_control_record(batch->payload))
            control_->record(batch->sender, batch->payload);
    }
}

}  // namespace

int main(int argc, char** argv) {
    auto started = daemon_start::start("cmapd", argc, argv);
    if (const auto* status = std::get_if<daemon_start::Ended>(&started)) return *status;
    return Program(std::get<daemon_start::Started>(std::move(started))).run_to_the_end();
}
