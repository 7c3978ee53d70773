// cmapd: the configuration of this node as keys, one safe way to change it on all nodes, and
// cluster control.
#include <sysexits.h>
#include <unistd.h>

#include <csignal>
#include <deque>
#include <map>
#include <memory>

#include "cmapd/driver/control.hpp"
#include "common/daemon/confine.hpp"
#include "common/daemon/trust.hpp"
#include "common/ipc/status_server.hpp"
#include "common/os/handed_down.hpp"
#include "common/os/notify.hpp"
#include "common/os/signal_fd.hpp"
#include "common/ring_client/stream_client.hpp"

namespace {

// Words that wait for room on the ring.
constexpr std::size_t kSubmissionsMax = 1024;
constexpr base::Duration kShutdownVotes = std::chrono::seconds(5);

class Program {
  public:
    explicit Program(daemon_start::Started started) : started_(std::move(started)) {}

    // Gives the exit status.
    int run();

  private:
    bool open();
    bool open_clients();
    bool open_status();
    void attach();
    void on_signal(int signal);
    void on_event(const protocol::Event& event);
    void submit(base::Buffer record);
    void send_submissions();

    daemon_start::Started started_;
    logging::Log& log_ = started_.log;

    os::HandedDown handed_down_ = os::HandedDown::take_all();
    std::unique_ptr<os::EventLoop> loop_;
    std::unique_ptr<os::SignalFd> signals_;
    std::unique_ptr<session::Server> sessions_;
    std::unique_ptr<ring::StreamClient> stream_;
    std::unique_ptr<cmapd::Control> control_;
    std::unique_ptr<ipc::StatusServer> status_;
    ipc::StatusServer::Rule daemons_of_node_ = daemon_start::daemons_of_this_node(started_);
    std::deque<base::Buffer> submissions_;
    bool is_lost_told_ = false;
    std::map<std::string, config::KeyValue> keys_;
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
    log_.notice("cmapd runs, waiting for the ring", {{"FILE", started_.loaded.cluster.file}});
    if (const auto ran = loop_->run(); !ran) {
        log_.error("the event loop failed", {{"ERROR", ran.error().text()}});
        return EX_OSERR;
    }
    log_.notice("cmapd ends");
    return EX_OK;
}

bool Program::open() {
    auto signals = os::SignalFd::create(*loop_, {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1},
                                        [this](int signal) { on_signal(signal); });
    if (!signals) {
        log_.error("cannot start", {{"ERROR", signals.error().text()}});
        return false;
    }
    signals_ = std::move(*signals);
    // Names in the configuration are resolved at a reload, too.
    if (!daemon_start::confine(started_, {.network = true})) return false;
    if (!open_clients() || !open_status()) return false;
    attach();
    return true;
}

bool Program::open_clients() {
    session::Access access;
    access.own_uid = ::geteuid();
    sessions_ = std::make_unique<session::Server>(
        *loop_, access,
        session::Server::Callbacks{.opened = [](auto, const auto&) {},
                                   .request =
                                       [this](auto id, auto number, const base::Buffer& payload) {
                                           control_->request(id, number, payload);
                                       },
                                   .closed = [this](auto id, auto) { control_->closed(id); },
                                   .not_allowed =
                                       [this](const zmtp::PeerCredentials& peer) {
                                           log_.info("client is not allowed, refusing",
                                                     {{"UID", peer.uid}, {"GID", peer.gid}});
                                       }});
    auto listener = [this] {
        if (auto handed = handed_down_.take("cfg"))
            return zmtp::Listener::inherit(std::move(*handed));
        return zmtp::Listener::listen(started_.in_run("cfg"));
    }();
    if (!listener) {
        log_.error("cannot open the socket for clients", {{"ERROR", listener.error().text()}});
        return false;
    }
    if (auto listens = sessions_->listen(std::move(*listener), session::Service::Cfg); !listens) {
        log_.error("cannot serve clients", {{"ERROR", listens.error().text()}});
        return false;
    }
    while (auto connection = handed_down_.take(session::kKeptConnection)) {
        sessions_->add_former(std::move(*connection));
    }
    auto control = cmapd::Control::create(
        {.loop = *loop_,
         .log = log_,
         .started = started_,
         .sessions = *sessions_,
         .submit = [this](base::Buffer record) { submit(std::move(record)); },
         .set_key = [this](const std::string& key,
                           const config::KeyValue& value) { keys_[key] = value; },
         .delete_key = [this](const std::string& key) { keys_.erase(key); },
         .shutdown_timeout = [] { return kShutdownVotes; }});
    if (!control) {
        log_.error("cannot start", {{"ERROR", control.error().text()}});
        return false;
    }
    control_ = std::move(*control);
    control_->set_first_keys();
    return true;
}

bool Program::open_status() {
    const std::string name = "cmapd.status";
    ipc::StatusServer::Options options{.daemon = "cmapd",
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
    status_->on_get("reload", [this] { return control_->last_reload(); });
    status_->on_get("keys", [this] {
        nlohmann::json keys = nlohmann::json::object();
        for (const auto& [key, value] : keys_) {
            std::visit([&](const auto& each) { keys[key] = each; }, value);
        }
        return keys;
    });
    return true;
}

void Program::attach() {
    stream_ = std::make_unique<ring::StreamClient>(
        *loop_,
        ring::StreamClient::Options{
            .path = started_.in_run("ring"), .channel = "cmap", .resume = std::nullopt},
        ring::StreamClient::Callbacks{
            .attached =
                [this](const protocol::Attached& attached, auto) {
                    is_lost_told_ = false;
                    log_.notice("attached to the ring", {{"RESUMED", attached.resumed}});
                    if (!attached.resumed) submissions_.clear();
                },
            .event = [this](const protocol::Event& event) { on_event(event); },
            .room = [this] { send_submissions(); },
            .lost =
                [this](const std::string& reason) {
                    if (!std::exchange(is_lost_told_, true))
                        log_.warning("no ring, trying again until there is one",
                                     {{"REASON", reason}});
                }});
    loop_->at_turn_end([this] { sessions_->flush(); });
    stream_->start();
}

void Program::on_event(const protocol::Event& event) {
    if (const auto* view = std::get_if<protocol::View>(&event.what)) {
        control_->view(*view);
        if (!sessions_->is_serving()) {
            sessions_->serve(*started_.loaded.cluster.self);
            log_.notice("serving clients", {{"FORMER_CONNECTIONS", sessions_->former()}});
            os::notify_ready();
        }
    } else if (const auto* batch = std::get_if<protocol::Batch>(&event.what)) {
        if (cmapd::is_control_record(batch->payload))
            control_->record(batch->sender, batch->payload);
    }
    stream_->acknowledge(event.cursor);
}

void Program::submit(base::Buffer record) {
    // Only while there is no ring, which answers everything of before by another view.
    if (submissions_.size() == kSubmissionsMax) submissions_.pop_front();
    submissions_.push_back(std::move(record));
    send_submissions();
}

void Program::send_submissions() {
    while (!submissions_.empty() && stream_ && stream_->fits(submissions_.front().size())) {
        stream_->submit(std::move(submissions_.front()), true, false);
        submissions_.pop_front();
    }
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

}  // namespace

int main(int argc, char** argv) {
    auto started = daemon_start::start("cmapd", argc, argv);
    if (const auto* status = std::get_if<daemon_start::Ended>(&started)) return *status;
    return Program(std::get<daemon_start::Started>(std::move(started))).run();
}
