#include "libclient/tools/node/supervisor.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <set>

#include "common/config/key_file.hpp"
#include "common/config/load.hpp"
#include "common/os/clock.hpp"
#include "common/os/exit_status.hpp"
#include "common/os/notify.hpp"
#include "common/os/scheduling.hpp"
#include "libclient/tools/node/folders.hpp"
#include "libclient/tools/node/process.hpp"
#include "libclient/tools/node/sockets.hpp"

namespace node {
namespace {

// A daemon of a node, and its sockets: a name is the file's, and the descriptor's in
// LISTEN_FDNAMES.
struct Role {
    struct Socket {
        const char* name;
        bool is_for_all = true;  // Else for the node's daemons only.
    };
    const char* name;
    std::vector<Socket> sockets;
};

const std::vector<Role>& roles() {
    static const std::vector<Role> all{
        {"ringd", {{"ring", /*is_for_all=*/false}, {"ringd.status"}}},
        {"cpgd", {{"cpg"}, {"cpgd.status"}}},
        {"quorumd", {{"quorum"}, {"votequorum"}, {"quorumd.status"}}},
        {"cmapd", {{"cmap"}, {"cfg"}, {"cmapd.status"}}},
    };
    return all;
}

// Under this name ringd stores from what the next ringd goes on.
constexpr std::string_view kMemory = "memory";

// As many as a daemon may store, so that one that goes wild cannot use up ours.
constexpr std::size_t kStoredMax = 4096;

// How long services may take to detach, and ringd to leave, before they are killed.
constexpr base::Duration kStopServices = std::chrono::seconds{5};
constexpr base::Duration kLeaveRing = std::chrono::seconds{10};

// A process that does not react to SIGABRT at the watchdog's time-out is given this long.
constexpr base::Duration kAbort = std::chrono::seconds{2};

}  // namespace

os::Result<std::unique_ptr<Supervisor>> Supervisor::create(Settings settings, os::EventLoop& loop,
                                                           logging::Log& log) {
    std::unique_ptr<Supervisor> node(new Supervisor(std::move(settings), loop, log));
    for (const auto prepare : {&Supervisor::prepare_folders, &Supervisor::prepare_daemons,
                               &Supervisor::open_sockets, &Supervisor::watch}) {
        if (auto done = (node.get()->*prepare)(); !done) return base::fail(done.error());
    }
    for (Daemon& daemon : node->daemons_) {
        node->start_daemon(daemon);
    }
    return node;
}

Supervisor::~Supervisor() {
    if (notify_) loop_.remove(notify_->fd());
    // Only on a failure are there still daemons; they must not outlive who looks after them.
    kill_all(SIGKILL);
    for (const Daemon& daemon : daemons_) {
        for (const auto& [name, fd] : daemon.sockets) {
            (void)::unlink((settings_.run_folder + "/" + name).c_str());  // Gone is gone.
        }
    }
    if (notify_) (void)::unlink(notify_->path().c_str());
    for (const Daemon& daemon : daemons_) {
        std::error_code ignored;  // The run folder is memory.
        std::filesystem::remove_all(credentials_of(daemon), ignored);
    }
}

os::Result<void> Supervisor::prepare_folders() {
    for (const std::string& folder : {settings_.run_folder, settings_.state_folder}) {
        if (auto made = make_folder(folder); !made) return made;
    }
    const std::string path = settings_.run_folder + "/node.lock";
    lock_ = os::UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock_.is_open()) return os::last_error("open " + path);
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
        return base::fail(os::Error{.what = "a node runs already in " + settings_.run_folder +
                                            " (node.lock is held)"});
    return {};
}

std::optional<os::Identity> Supervisor::identity_of(const std::string& daemon) const {
    if (::geteuid() != 0) return std::nullopt;
    const std::string user = settings_.user_prefix + "-" + daemon;
    const auto uid = os::user_id(user);
    const auto gid = os::group_id(settings_.group);
    if (uid && gid) return os::Identity{.uid = *uid, .gid = *gid};
    log_.warning("no user for the daemon, it stays root",
                 {{"DAEMON", daemon}, {"USER", user}, {"GROUP", settings_.group}});
    return std::nullopt;
}

os::Result<void> Supervisor::prepare_daemons() {
    for (const Role& role : roles()) {
        const std::string program = settings_.program_folder + "/" + role.name;
        if (::access(program.c_str(), X_OK) != 0) {
            if (role.name == std::string_view("ringd")) return os::last_error("find " + program);
            continue;  // This node has no such service.
        }
        Daemon daemon;
        daemon.name = role.name;
        daemon.identity = identity_of(daemon.name);
        if (daemon.identity) group_ = daemon.identity->gid;
        if (auto prepared = prepare_folders_of(daemon); !prepared) return prepared;
        daemons_.push_back(std::move(daemon));
    }
    return {};
}

os::Result<void> Supervisor::prepare_folders_of(const Daemon& daemon) {
    const std::string run = settings_.run_folder + "/" + daemon.name;
    const std::string state = settings_.state_folder + "/" + daemon.name;
    const os::Identity owner =
        daemon.identity.value_or(os::Identity{.uid = ::geteuid(), .gid = ::getegid()});
    for (const std::string& folder : {run, state}) {
        if (auto made = make_folder(folder); !made) return made;
        if (auto given = give_folder(folder, owner); !given) return given;
    }
    return empty_folder(run);
}

std::string Supervisor::credentials_of(const Daemon& daemon) const {
    return settings_.run_folder + "/credentials/" + daemon.name;
}

// The key's file is root's. A copy in memory for ringd alone, made again at each of its starts.
os::Result<void> Supervisor::hand_over_key(const Daemon& daemon) {
    if (!daemon.identity || settings_.key_file.empty()) return {};
    const auto key = config::read_key(settings_.key_file);
    if (!key) return base::fail(key.error());
    const std::string folder = credentials_of(daemon);
    if (auto made = make_folder(folder); !made) return made;
    // Folders of root's: nobody else can put something in the place of the file.
    const std::string file = folder + "/" + config::credential_name(settings_.key_file);
    if (auto written = os::write_durably(file, key->bytes(), 0400, os::Existing::Replace); !written)
        return written;
    if (::chown(file.c_str(), daemon.identity->uid, daemon.identity->gid) != 0)
        return os::last_error("chown " + file);
    return {};
}

os::Result<void> Supervisor::open_sockets() {
    for (Daemon& daemon : daemons_) {
        const auto role = std::ranges::find(roles(), daemon.name, &Role::name);
        for (const Role::Socket& each : role->sockets) {
            auto socket = listen_unix(settings_.run_folder + "/" + each.name,
                                      {.by_all = each.is_for_all || !group_, .group = group_});
            if (!socket) return base::fail(socket.error());
            daemon.sockets.emplace_back(each.name, std::move(*socket));
        }
    }
    auto notify = NotifySocket::create(settings_.run_folder + "/node.notify", group_);
    if (!notify) return base::fail(notify.error());
    notify_ = std::make_unique<NotifySocket>(std::move(*notify));
    return {};
}

os::Result<void> Supervisor::watch() {
    auto signals =
        os::SignalFd::create(loop_, {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD},
                             [this](int signal) { on_signal(signal); });
    if (!signals) return base::fail(signals.error());
    signals_ = std::move(*signals);
    loop_.set_deadline([this] { return next_deadline(); }, [this] { pass_deadlines(); });
    return loop_.add(notify_->fd(), EPOLLIN, [this](std::uint32_t) { on_notify(); });
}

void Supervisor::start_daemon(Daemon& daemon) {
    Program program;
    program.arguments = {settings_.program_folder + "/" + daemon.name,
                         "-c",
                         settings_.config_file,
                         "--run",
                         settings_.run_folder,
                         "--state",
                         settings_.state_folder + "/" + daemon.name};
    if (settings_.node_id) {
        program.arguments.push_back("--node-id");
        program.arguments.push_back(std::to_string(settings_.node_id->value()));
    }
    for (const auto* list : {&daemon.sockets, &daemon.stored}) {
        for (const auto& [name, fd] : *list) {
            program.descriptors.emplace_back(name, fd.get());
        }
    }
    program.notify_path = notify_->path();
    program.watchdog_us =
        std::chrono::duration_cast<std::chrono::microseconds>(settings_.watchdog).count();
    program.identity = daemon.identity;
    const bool is_ring = &daemon == &daemons_.front();
    if (::geteuid() == 0) {
        program.limits = {.is_raised = is_ring,
                          .real_time = is_ring && settings_.real_time,
                          .nice = os::kDaemonNice,  // As in the units.
                          .net_buffers = is_ring};
    }
    daemon.restart_at.reset();
    daemon.fed_until.reset();
    daemon.is_ready = false;
    daemon.started = os::now();
    if (is_ring) {
        if (const auto handed = hand_over_key(daemon); !handed) {
            // ringd looks for it and says so too; this line has the reason.
            log_.error("cannot hand the key to ringd", {{"ERROR", handed.error().text()}});
        } else if (daemon.identity) {
            program.credentials_folder = credentials_of(daemon);
        }
    }
    const auto pid = node::start(program);
    if (!pid) {
        const base::Duration delay =
            std::max<base::Duration>(daemon.delay.after(false), RestartDelay::kFirst);
        daemon.restart_at = os::now() + delay;
        log_.error("cannot start daemon, retrying",
                   {{"DAEMON", daemon.name}, {"ERROR", pid.error().text()}});
        return;
    }
    daemon.pid = *pid;
    log_.notice("daemon started", {{"DAEMON", daemon.name},
                                   {"PID", daemon.pid},
                                   {"UID", daemon.identity ? daemon.identity->uid : ::geteuid()},
                                   {"DESCRIPTORS", program.descriptors.size()}});
}

void Supervisor::on_signal(int signal) {
    switch (signal) {
        case SIGCHLD:
            on_notify();  // What it said last counts.
            reap();
            break;
        case SIGTERM:
        case SIGINT:
        case SIGQUIT:
            if (phase_ == Phase::Running) {
                log_.notice("stopping node", {{"SIGNAL", signal}});
                stop_node(0);
            } else {
                log_.warning("asked to stop again, killing the daemons", {{"SIGNAL", signal}});
                kill_all(SIGKILL);
            }
            break;
        default:
            kill_all(signal);  // HUP: read the configuration again; USR1, USR2: theirs.
    }
}

void Supervisor::reap() {
    int status = 0;
    // All children: also those that sent an obituary, and orphans where we are a container's init.
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        const auto daemon = std::find_if(daemons_.begin(), daemons_.end(),
                                         [pid](const Daemon& each) { return each.pid == pid; });
        if (daemon != daemons_.end()) on_death(*daemon, status);
    }
    if (phase_ != Phase::Running) advance_stop();
}

void Supervisor::on_death(Daemon& daemon, int status) {
    const base::Instant now = os::now();
    const base::Duration lived = now - daemon.started;
    const pid_t pid = std::exchange(daemon.pid, 0);
    daemon.fed_until.reset();
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    const auto lived_ms = std::chrono::duration_cast<std::chrono::milliseconds>(lived).count();

    if (phase_ != Phase::Running) {
        log_.notice(
            "daemon ended",
            {{"DAEMON", daemon.name}, {"PID", pid}, {"EXIT_CODE", code}, {"SIGNAL", signal}});
        return;
    }
    if (code == config::kExitConfiguration || code == EX_USAGE) {
        // Restarted it would say the same again, and nobody goes on from what was left.
        if (&daemon == &daemons_.front()) send_obituary();
        log_.error("daemon refuses its configuration, stopping the node",
                   {{"DAEMON", daemon.name}, {"PID", pid}, {"EXIT_CODE", code}});
        stop_node(code);
        return;
    }
    if (code == os::kExitKilled) {
        log_.error("the node was killed by another one, stopping it",
                   {{"DAEMON", daemon.name}, {"PID", pid}});
        stop_node(code);
        return;
    }
    const bool is_ring = &daemon == &daemons_.front();
    if (is_ring && WIFEXITED(status) && (code == 0 || code == os::kExitShutdown)) {
        log_.notice("ringd has left the ring, stopping the node", {{"PID", pid}});
        stop_node(0);
        return;
    }
    if (is_ring && !may_go_on(daemon)) send_obituary();
    const base::Duration delay = daemon.delay.after(daemon.is_ready);
    daemon.restart_at = now + delay;
    const auto delay_ms = std::chrono::duration_cast<std::chrono::milliseconds>(delay).count();
    if (is_ring && code == os::kExitRestart) {
        log_.notice("daemon ended to be started again",
                    {{"DAEMON", daemon.name}, {"PID", pid}, {"DELAY_MS", delay_ms}});
    } else {
        log_.error("daemon died, restarting", {{"DAEMON", daemon.name},
                                               {"PID", pid},
                                               {"EXIT_CODE", code},
                                               {"SIGNAL", signal},
                                               {"LIVED_MS", lived_ms},
                                               {"DELAY_MS", delay_ms}});
    }
    if (delay == base::Duration::zero()) start_daemon(daemon);
}

void Supervisor::send_obituary() {
    // ringd seals these packets while it lives; a fresh process of the same program knows how to
    // send them. It is not waited for: it needs milliseconds, and the restart must not.
    const std::string left = settings_.run_folder + "/ringd/obituary";
    // Under a name of its own: the next ringd leaves its obituary in the same place, and is alive.
    const std::string file = left + ".due";
    if (::rename(left.c_str(), file.c_str()) != 0) return;
    Program program;
    program.arguments = {settings_.program_folder + "/ringd", "--obituary", file};
    program.notify_path = notify_->path();
    program.identity = daemons_.front().identity;
    if (const auto pid = node::start(program); !pid)
        log_.warning("cannot tell the peers that ringd died, they will notice by themselves",
                     {{"ERROR", pid.error().text()}});
}

void Supervisor::on_notify() {
    while (auto notification = notify_->receive()) {
        const auto daemon = std::find_if(daemons_.begin(), daemons_.end(), [&](const Daemon& each) {
            return is_running(each) && each.pid == notification->from;
        });
        // The socket is open to all, but only our own daemons are listened to.
        if (daemon != daemons_.end()) take(*daemon, std::move(*notification));
    }
}

void Supervisor::take(Daemon& daemon, Notification notification) {
    const NotifyMessage& message = notification.message;
    if (message.forgets_descriptors) {
        std::erase_if(daemon.stored, [&](const auto& entry) {
            if (entry.first != message.name) return false;
            loop_.remove(entry.second.get());
            return true;
        });
    }
    if (message.stores_descriptors) {
        for (os::UniqueFd& fd : notification.descriptors) {
            store(daemon, message, std::move(fd));
        }
    }
    if (message.real_time && settings_.real_time && &daemon == &daemons_.front() &&
        !os::set_real_time(daemon.pid, *message.real_time)) {
        log_.warning("cannot give the priority that a daemon asks for",
                     {{"DAEMON", daemon.name}, {"ERROR", std::strerror(errno)}});
    }
    if (message.status)
        log_.info("daemon says", {{"DAEMON", daemon.name}, {"STATUS", *message.status}});
    if (settings_.watchdog > base::Duration::zero() && (message.is_ready || message.feeds_watchdog))
        daemon.fed_until = os::now() + settings_.watchdog;
    if (message.is_ready && !daemon.is_ready) {
        daemon.is_ready = true;
        log_.notice("daemon ready", {{"DAEMON", daemon.name}, {"PID", daemon.pid}});
        const bool all_ready = std::all_of(daemons_.begin(), daemons_.end(),
                                           [](const Daemon& each) { return each.is_ready; });
        if (all_ready && !std::exchange(is_up_, true)) {
            log_.notice("node up", {{"DAEMONS", daemons_.size()}});
            os::notify_ready();
        }
    }
}

// As systemd: a connection whose peer is gone is not kept.
void Supervisor::store(Daemon& daemon, const NotifyMessage& message, os::UniqueFd fd) {
    if (daemon.stored.size() >= kStoredMax) return;
    const int number = fd.get();
    // EPOLLHUP comes unasked. What can't be watched (a memory file) has no peer.
    if (message.watches_descriptors) {
        (void)loop_.add(number, 0, [this, &daemon, number](std::uint32_t) {
            loop_.remove(number);
            std::erase_if(daemon.stored,
                          [number](const auto& entry) { return entry.second.get() == number; });
        });
    }
    daemon.stored.emplace_back(message.name, std::move(fd));
}

// It was at work and left its memory: the next ringd goes on from there, or tells of the death.
bool Supervisor::may_go_on(const Daemon& ring) {
    return ring.is_ready &&
           std::ranges::any_of(ring.stored, [](const auto& each) { return each.first == kMemory; });
}

void Supervisor::stop_node(int exit_code) {
    if (phase_ != Phase::Running) return;
    os::notify_stopping();
    exit_code_ = exit_code;
    phase_ = Phase::StoppingServices;
    kill_at_ = os::now() + kStopServices;
    for (Daemon& daemon : daemons_) {
        daemon.restart_at.reset();
        // Services first: they detach while the ring still carries the news.
        if (&daemon != &daemons_.front() && is_running(daemon)) (void)::kill(daemon.pid, SIGTERM);
    }
    advance_stop();
}

void Supervisor::advance_stop() {
    const Daemon& ring = daemons_.front();
    const bool has_services =
        std::any_of(daemons_.begin() + 1, daemons_.end(),
                    [this](const Daemon& daemon) { return is_running(daemon); });
    if (phase_ == Phase::StoppingServices && !has_services) {
        phase_ = Phase::LeavingRing;
        kill_at_ = os::now() + kLeaveRing;
        if (is_running(ring)) (void)::kill(ring.pid, SIGTERM);
    }
    if (phase_ == Phase::LeavingRing && !is_running(ring)) {
        log_.notice("node stopped", {{"EXIT_CODE", exit_code_}});
        loop_.stop();
    }
}

void Supervisor::kill_all(int signal) {
    for (const Daemon& daemon : daemons_) {
        // It is our child and not waited for: the number is its own.
        if (is_running(daemon)) (void)::kill(daemon.pid, signal);
    }
}

std::optional<base::Instant> Supervisor::next_deadline() const {
    std::optional<base::Instant> next = phase_ == Phase::Running ? std::nullopt : kill_at_;
    for (const Daemon& daemon : daemons_) {
        for (const auto& when : {daemon.restart_at, daemon.fed_until}) {
            if (when && (!next || *when < *next)) next = when;
        }
    }
    return next;
}

void Supervisor::pass_deadlines() {
    const base::Instant now = os::now();
    for (Daemon& daemon : daemons_) {
        if (daemon.restart_at && *daemon.restart_at <= now) start_daemon(daemon);
        if (daemon.fed_until && *daemon.fed_until <= now && is_running(daemon)) {
            // First with a core dump of where it hangs; at the second time-out without.
            const bool is_first = daemon.is_ready;
            daemon.is_ready = false;
            daemon.fed_until = now + kAbort;
            log_.error("daemon does not answer its watchdog, killing it",
                       {{"DAEMON", daemon.name}, {"PID", daemon.pid}});
            (void)::kill(daemon.pid, is_first ? SIGABRT : SIGKILL);
        }
    }
    if (phase_ == Phase::Running || !kill_at_ || *kill_at_ > now) return;
    kill_at_ = now + kLeaveRing;
    for (const Daemon& daemon : daemons_) {
        const bool is_due = phase_ == Phase::LeavingRing || &daemon != &daemons_.front();
        if (!is_due || !is_running(daemon)) continue;
        log_.warning("daemon does not end, killing it",
                     {{"DAEMON", daemon.name}, {"PID", daemon.pid}});
        (void)::kill(daemon.pid, SIGKILL);
    }
}

}  // namespace node
