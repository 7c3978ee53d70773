// ringd: orders what the services of the nodes say, and who is there (Totem over UDP). Starts from
// the configuration file alone.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string_view>

#include "common/daemon/confine.hpp"
#include "common/daemon/program.hpp"
#include "common/daemon/reload.hpp"
#include "common/os/clock.hpp"
#include "common/os/exit_status.hpp"
#include "common/os/identity.hpp"
#include "common/os/notify.hpp"
#include "ringd/config.hpp"
#include "ringd/continuation.hpp"
#include "ringd/driver.hpp"
#include "ringd/obituary_file.hpp"
#include "ringd/priority.hpp"
#include "ringd/status.hpp"

namespace {

// Time before the process gives up a leave that nobody answers.
constexpr base::Duration kLeaveMax = std::chrono::seconds(5);

// A page fault to disk would hold the token. Refused is no reason to stop. Under a limit it is not
// asked for: what we allocate later would count, and be refused when we have no privilege any more.
void lock_memory(logging::Log& log) {
    rlimit limit{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    const bool is_unlimited =
        ::setrlimit(RLIMIT_MEMLOCK, &limit) == 0 ||
        (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY);
    if (!is_unlimited) {
        log.info("memory is not locked, going on without",
                 {{"ERROR", "its limit is " + std::to_string(limit.rlim_cur) + " bytes"}});
    } else if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) {
        log.info("memory is not locked, going on without", {{"ERROR", std::strerror(errno)}});
    }
}

// Under systemd the next process tells the others that the one before it is dead. One that cannot
// begin is the last.
void tell_of_former_death() {
    const char* folder = std::getenv("RUNTIME_DIRECTORY");  // systemd.exec(5)
    if (folder == nullptr) return;
    const std::string file = std::string(folder) + "/obituary";
    (void)::unlink(ringd::withheld_mark(file).c_str());
    // They notice by themselves where it cannot be sent.
    (void)ringd::send_obituary_file(file);
}

class Program final : public daemon_start::Program {
  public:
    explicit Program(daemon_start::Started started) : daemon_start::Program(std::move(started)) {}

  private:
    std::optional<int> open() override;
    void end(int signal) override;
    void end_for_restart(int signal) override;
    int ended() override;
    std::optional<int> open_ring();
    std::optional<base::RingId> open_ring_id(const std::string& id_file);
    std::optional<int> open_streams();
    std::optional<int> start_driver();
    void serve_status();
    [[nodiscard]] stream::SwitchConfig stream_config() const;
    void leave_ring();
    void restart_if_asked();

    base::Expected<nlohmann::json, std::string> leave(const nlohmann::json& value);

    // The parts of a reload.
    base::Expected<void, std::string> prepare(const config::Loaded& next);
    void commit();

    int exit_ = EX_OK;  // When the loop stops.
    bool is_restart_asked_ = false;
    bool has_left_ = false;
    // Before all that writes to its memory.
    ringd::Continuation continuation_{started_, handed_down_};
    std::unique_ptr<transport::NetworkTransport> transport_;
    std::unique_ptr<ringd::RingIdWriter> ring_ids_;
    std::unique_ptr<totem::Ring> ring_;
    std::unique_ptr<stream::StreamServer> streams_;
    resume::Recorder* recorder_ = nullptr;  // The continuation's.
    std::unique_ptr<ringd::Driver> driver_;
    ringd::Priority priority_{config_.system.real_time, log_};
    std::unique_ptr<daemon_start::Reload> reload_;
    std::optional<base::Instant> leave_by_;
};

std::optional<int> Program::open() {
    if (const auto failed = open_ring()) return failed;
    if (const auto failed = open_streams()) return failed;
    if (const auto failed = start_driver()) return failed;
    if (!open_status()) return EX_CANTCREAT;
    serve_status();
    log_.notice("ringd runs", {{"NODE", config_.self->value()},
                               {"CLUSTER", config_.cluster_name},
                               {"FILE", config_.file}});
    continuation_.ready();
    os::notify_ready();
    return std::nullopt;
}

int Program::ended() {
    const bool was_to_leave = exit_ == EX_OK || exit_ == os::kExitShutdown;
    if (!is_restart_asked_) continuation_.end(has_left_ || was_to_leave);
    log_.notice("ringd ends", {{"STATUS", exit_}});
    return exit_;
}

std::optional<int> Program::open_ring() {
    const auto key = ringd::cluster_key(config_);
    if (!key) {
        log_.error("cannot use the cluster's key", {{"ERROR", key.error()}});
        tell_of_former_death();
        return config::kExitConfiguration;
    }
    const std::string state = config::state_folder_of(started_.options, config_.system.state_dir);
    const auto id_file =
        std::filesystem::path(state) / ("ringid_" + std::to_string(config_.self->value()));
    auto network = ringd::network_config(config_);
    continuation_.begin(ringd::ring_config(config_, totem::RingConfig{}.packet_bytes_max),
                        stream_config(), network, key->id());
    const auto start = continuation_.cores() ? base::RingId{} : open_ring_id(id_file);
    if (!start) return exit_;

    auto transport = transport::NetworkTransport::create(network, *key, os::now());
    if (!transport) {
        log_.error("cannot open the network", {{"ERROR", transport.error().text()}});
        return EX_OSERR;
    }
    transport_ = std::move(*transport);
    continuation_.keep(*transport_);
    priority_.take();
    lock_memory(log_);
    // The sockets have their buffers (CAP_NET_ADMIN) and the process its priority.
    if (!daemon_start::confine(started_, {.network = true, .real_time = true, .secret = true}))
        return EX_OSERR;
    if (const auto started = transport_->start(os::now()); !started) {
        log_.error("cannot open the network", {{"ERROR", started.error().text()}});
        return EX_OSERR;
    }

    ring_ids_ = std::make_unique<ringd::RingIdWriter>(id_file);
    if (auto* former = continuation_.cores()) {
        ring_ = std::make_unique<totem::Ring>(std::move(former->ring));
        return std::nullopt;
    }
    const auto seed =
        static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) ^
        (std::uint64_t{config_.self->value()} << 32u);
    ring_ = std::make_unique<totem::Ring>(
        ringd::ring_config(config_, transport_->packet_bytes_max()), *start, seed, os::now());
    return std::nullopt;
}

// None: logged why, and exit_ says with what to end.
std::optional<base::RingId> Program::open_ring_id(const std::string& id_file) {
    const auto last_ring = ringd::load_ring_id(id_file);
    if (!last_ring) {
        // With the damaged file gone ringd starts above every ring of the past; to do so unasked
        // would hide a failing disk.
        log_.error("cannot read the ring id; remove the file if it is damaged",
                   {{"ERROR", last_ring.error().text()}});
        exit_ = EX_IOERR;
        return std::nullopt;
    }
    const auto unix_seconds = static_cast<std::uint64_t>(std::time(nullptr));
    const base::RingId start = last_ring->value_or(ringd::ring_id_without_file(unix_seconds));
    // To learn now, not in the first gather, that the folder can't be written.
    if (const auto stored = ringd::store_ring_id(id_file, start); !stored) {
        log_.error("cannot store ring ids", {{"ERROR", stored.error().text()}});
        exit_ = EX_CANTCREAT;
        return std::nullopt;
    }
    return start;
}

stream::SwitchConfig Program::stream_config() const {
    return {.self = *config_.self,
            .retention_bytes_max = config_.flow.retained_bytes_max,
            .retention_bytes_hard = config_.flow.retained_bytes_max * 2,
            .grace = config_.flow.service_grace};
}

base::Expected<void, std::string> Program::prepare(const config::Loaded& next) {
    const auto key = ringd::cluster_key(next.cluster);
    if (!key) return base::fail(key.error());
    const auto ready = transport_->prepare(ringd::network_config(next.cluster), *key);
    if (!ready) return base::fail(ready.error().text());
    return {};
}

void Program::commit() {
    const auto ring = ringd::ring_config(config_, transport_->packet_bytes_max());
    const auto changed = driver_->reconfigure(
        [this](std::vector<totem::Event>& events) { transport_->commit(os::now(), events); },
        {.peers = ring.peers}, {.settings = ring});
    if (!changed) {
        // The old sockets are gone and the new ones are not watched.
        log_.error("cannot watch the network after a reload", {{"ERROR", changed.error().text()}});
        exit_ = EX_OSERR;
        loop().stop();
        return;
    }
    streams_->set_limits({.retained_bytes_max = config_.flow.retained_bytes_max,
                          .retained_bytes_hard = config_.flow.retained_bytes_max * 2,
                          .grace = config_.flow.service_grace});
    continuation_.keep(*transport_);
    // It could be read when the reload was prepared. Else there is nothing to go on from.
    const auto key = ringd::cluster_key(config_);
    // While the key before is opened for others the file does not say all.
    continuation_.settings_changed(ring, ringd::network_config(config_), key ? key->id() : 0,
                                   transport_->other_key_kept_until().value_or(os::now()));
}

void Program::end(int signal) {
    if (leave_by_) {
        loop().stop();  // Asked twice: at once.
        return;
    }
    log_.notice("leaving the ring", {{"SIGNAL", signal}});
    leave_ring();
}

void Program::leave_ring() {
    os::notify_stopping();
    leave_by_ = os::now() + kLeaveMax;
    driver_->leave();
}

// At the end of the turn, when nothing waits to be done.
void Program::end_for_restart(int signal) {
    if (leave_by_) return;
    log_.notice("ending to be started again", {{"SIGNAL", signal}});
    is_restart_asked_ = true;
}

void Program::restart_if_asked() {
    if (!is_restart_asked_ || leave_by_) return;
    exit_ = os::kExitRestart;
    if (continuation_.finish()) {
        os::notify_stopping();
        loop().stop();
        return;
    }
    log_.notice("no settled member, or nobody keeps its state: leaving the ring");
    is_restart_asked_ = false;
    leave_ring();
}

// {"killed_by": 3, "reason": "…"}, or {} for a shutdown: the node's last order. Whoever runs the
// node stops it when ringd has left.
base::Expected<nlohmann::json, std::string> Program::leave(const nlohmann::json& value) {
    if (!value.is_object()) return base::fail(std::string("value: needs an object"));
    if (leave_by_) return value;
    if (value.contains("killed_by")) {
        log_.error(
            "killed by a node of the cluster, leaving the ring",
            {{"BY", value["killed_by"].dump()}, {"REASON", value.value("reason", std::string())}});
        exit_ = os::kExitKilled;
    } else {
        log_.notice("the node is shut down, leaving the ring");
        exit_ = os::kExitShutdown;
    }
    leave_ring();
    return value;
}

std::optional<int> Program::open_streams() {
    auto listener = listen("ring");
    if (!listener) return EX_CANTCREAT;

    // Services are daemons of this node: root's, our own user's, or of the daemons' group.
    const uid_t own_uid = ::geteuid();
    const auto group = os::group_id(config_.system.group);
    stream::StreamServer::Options stream_options{
        .config = stream_config(),
        .may_connect = [own_uid, group](const zmtp::PeerCredentials& peer) {
            return peer.uid == 0 || peer.uid == own_uid ||
                   (group && (peer.gid == *group ||
                              std::ranges::find(peer.groups, *group) != peer.groups.end()));
        }};
    if (auto* former = continuation_.cores()) {
        stream_options.restored.emplace(std::move(former->streams));
    }
    auto streams =
        stream::StreamServer::create(loop(), std::move(*listener), std::move(stream_options), log_);
    if (!streams) {
        log_.error("cannot serve services", {{"ERROR", streams.error().text()}});
        return EX_OSERR;
    }
    streams_ = std::move(*streams);
    ring_->put_items_into(streams_->item_memory());
    recorder_ = continuation_.record(*ring_, streams_->core());
    if (recorder_ != nullptr) streams_->record_in(*recorder_);
    return std::nullopt;
}

std::optional<int> Program::start_driver() {
    driver_ = std::make_unique<ringd::Driver>(ringd::Driver::Parts{
        .loop = loop(),
        .ring = *ring_,
        .transport = *transport_,
        .streams = *streams_,
        .ring_ids = *ring_ids_,
        .log = log_,
        .on_left =
            [this] {
                has_left_ = true;
                loop().stop();
            },
        .on_fatal =
            [this] {
                exit_ = EX_IOERR;
                loop().stop();
            },
        .on_late = [this](auto now, auto late) { priority_.ran(now, late); },
        .recorder = recorder_,
    });
    const auto driving = [this] {
        const auto* former = continuation_.cores();
        if (former == nullptr) return driver_->start();
        std::vector<totem::Event> found{
            totem::PacketBytesChanged{.packet_bytes_max = transport_->packet_bytes_max()}};
        transport_->tell_links(found);
        return driver_->go_on(former->actions, found);
    }();
    if (!driving) {
        log_.error("cannot start", {{"ERROR", driving.error().text()}});
        return EX_OSERR;
    }
    continuation_.went_on();
    streams_->start();
    loop().at_turn_end([this] { restart_if_asked(); });
    loop().set_deadline([this] { return priority_.next_deadline(); },
                        [this] { priority_.pass_deadline(os::now()); });
    // A leave that nobody answers ends all the same.
    loop().set_deadline([this] { return leave_by_; }, [this] { loop().stop(); });
    return std::nullopt;
}

void Program::serve_status() {
    status_->on_get("status", [this] {
        auto json = ringd::status_json(*ring_, *transport_, *driver_, config_, os::now());
        json["channels"] = ringd::channels_json(streams_->status());
        json["areas"] = {{"item_bytes", streams_->item_memory_bytes()},
                         {"lent_bytes", streams_->lent_bytes()}};
        json["resume"] = ringd::resume_json(continuation_.status());
        json["priority"] = ringd::priority_json(priority_.status());
        return json;
    });
    status_->on_get("counters", [this] {
        auto json = ringd::counters_json(*ring_, *transport_, *driver_, config_);
        json["stream"] = ringd::stream_counters_json(streams_->status());
        json["journal"] = ringd::journal_counters_json(continuation_.status().journal);
        return json;
    });
    status_->on_get("trace", [this] { return ringd::trace_json(*ring_, os::now()); });
    reload_ = std::make_unique<daemon_start::Reload>(
        started_, daemon_start::Reload::Hooks{
                      .prepare = [this](const config::Loaded& next) { return prepare(next); },
                      .abandon = [this] { transport_->abandon(); },
                      .commit = [this] { commit(); }});
    reload_->serve(*status_);
    status_->on_do("leave", [this](const nlohmann::json& value) { return leave(value); });
}

}  // namespace

int main(int argc, char** argv) {
    // For the supervisor, after our death (docs/man/ringd.8).
    if (argc == 3 && std::string_view(argv[1]) == "--obituary") {
        const auto sent = ringd::send_obituary_file(argv[2]);
        if (sent) return EX_OK;
        std::fprintf(stderr, "ringd: %s\n", sent.error().text().c_str());
        return EX_IOERR;
    }
    auto started = daemon_start::start("ringd", argc, argv);
    if (const auto* status = std::get_if<daemon_start::Ended>(&started)) {
        if (*status != EX_OK) tell_of_former_death();
        return *status;
    }
    return Program(std::get<daemon_start::Started>(std::move(started))).run_to_the_end();
}
