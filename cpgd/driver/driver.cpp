#include "cpgd/driver/driver.hpp"

#include <algorithm>

#include "common/base/pieces.hpp"
#include "common/os/clock.hpp"
#include "common/os/notify.hpp"

namespace cpgd {
namespace {

namespace api = protocol::cpg;

// Above the hard bound of a session's events, which the core watches.
zmtp::Limits limits_of(const cpg::Config& config) {
    return {
        .message_bytes_max = std::size_t{2} << 20u,
        .queue_bytes_max = 2 * config.session.hard_bytes,
        .read_bytes = std::size_t{256} << 10u,
        .features = api::kTakesRuns | api::kTakesArea | api::kKeptIfAsked | api::kEventsIfAsked};
}

cpg::ConnectionId of(zmtp::ServerConnectionId id) {
    return cpg::ConnectionId{id.value()};
}
zmtp::ServerConnectionId of(cpg::ConnectionId id) {
    return zmtp::ServerConnectionId{id.value()};
}

std::size_t bytes_of(const protocol::Event& event) {
    constexpr std::size_t kEventBytes = 64;
    const auto* batch = std::get_if<protocol::Batch>(&event.what);
    return kEventBytes + (batch == nullptr ? 0 : batch->payload.size());
}

}  // namespace

os::Result<std::unique_ptr<Driver>> Driver::create(os::EventLoop& loop, logging::Log& log,
                                                   const Options& options, zmtp::Listener listener,
                                                   std::optional<os::SnapshotFile> snapshots) {
    std::unique_ptr<Driver> driver(new Driver(loop, log, options, std::move(snapshots)));
    Driver& self = *driver;
    auto server = zmtp::Server::create(
        loop, std::move(listener), limits_of(options.core),
        {.connected = [&self](auto id, const auto& peer) { return self.on_connected(id, peer); },
         .message = [&self](auto id, base::Buffer frame) { self.on_message(id, frame); },
         .closed = [&self](auto id, const std::string&) { self.on_closed(id); },
         .process_ended =
             [&self](auto id) {
                 const auto peer = self.peers_.find(id);
                 if (peer != self.peers_.end() && peer->second.pid != 0)
                     self.step(cpg::ProcessDied{.kernel_pid = peer->second.pid});
             },
         .keep = [](std::span<const int> fds) { os::keep_connections(kKeptConnection, fds); }});
    if (!server) return base::fail(server.error());
    self.clients_ = std::move(*server);
    self.deliveries_ =
        std::make_unique<Deliveries>(*self.clients_, limits_of(options.core).queue_bytes_max);
    self.attach(options, self.restore(options.core));
    return driver;
}

Driver::Driver(os::EventLoop& loop, logging::Log& log, const Options& options,
               std::optional<os::SnapshotFile> snapshots)
    : loop_(loop),
      log_(log),
      access_(options.access),
      rules_(options.rules_path),
      life_(os::epoch_ns()),
      core_(options.core, life_),
      processes_(loop, [this](std::uint32_t pid) { step(cpg::ProcessDied{.kernel_pid = pid}); }),
      snapshots_(std::move(snapshots)) {}

std::optional<ring::ResumePoint> Driver::restore(const cpg::Config& config) {
    if (!snapshots_) return std::nullopt;
    const auto stored = snapshots_->load();
    if (!stored) {
        if (snapshots_->refusal() != nullptr) start_afresh(snapshots_->refusal());
        return std::nullopt;
    }
    auto restored = cpg::Core::restore(config, *stored, os::now(), life_);
    if (!restored) {
        start_afresh(restored.error() == protocol::FrameError::WrongVersion
                         ? "it is of another version"
                         : "it is damaged");
        return std::nullopt;
    }
    core_ = std::move(*restored);
    has_state_ = true;
    if (core_.is_whole()) {
        if (const auto again = snapshots_->store(core_.snapshot()); !again) {
            start_afresh(again.error().text().c_str());
            core_ = cpg::Core(config, life_);
            snapshots_.reset();
            return std::nullopt;
        }
    }
    stored_ = core_.applied();
    schedule_.stored(stored->size());
    const cpg::Status status = core_.status();
    log_.notice("going on from the last life's state",
                {{"APPLIED", core_.applied().value()}, {"SESSIONS", status.sessions.size()}});
    return ring::ResumePoint{.incarnation = core_.incarnation(), .applied = core_.applied()};
}

void Driver::start_afresh(const char* reason) {
    log_.warning("the state of the last life can't be used, starting afresh", {{"REASON", reason}});
}

void Driver::attach(const Options& options, const std::optional<ring::ResumePoint>& resume) {
    stream_ = std::make_unique<ring::StreamClient>(
        loop_,
        ring::StreamClient::Options{
            .path = options.ring_path, .channel = "cpg", .resume = resume, .takes_items = true},
        ring::StreamClient::Callbacks{
            .attached = [this](const auto& attached,
                               auto incarnation) { on_attached(attached, incarnation); },
            .event = [this](protocol::Event event) { on_event(std::move(event)); },
            .room = [this] { send_submissions(); },
            .lost = [this](const std::string& reason) { on_lost(reason); }});
    loop_.set_deadline([this] { return next_deadline(); }, [this] { deadline_passed(); });
    loop_.at_turn_end([this] { end_turn(); });
    stream_->start();
}

// ---------------------------------------------------------------- the core

void Driver::step(const cpg::Event& event) {
    core_.step(os::now(), event, actions_);
    carry_out();
}

void Driver::carry_out() {
    std::vector<cpg::Action> actions;
    actions.swap(actions_);
    for (cpg::Action& action : actions) {
        if (auto* send = std::get_if<cpg::SendToClient>(&action)) {
            if (!deliveries_->send(of(send->connection), send->frame))
                overflowed_.push_back(of(send->connection));
        } else if (const auto* close = std::get_if<cpg::CloseClient>(&action)) {
            clients_->close(of(close->connection));
            deliveries_->remove(of(close->connection));
            peers_.erase(of(close->connection));
        } else {
            auto& submit = std::get<cpg::Submit>(action);
            const auto before = submit.urgent
                                    ? std::ranges::find(submissions_, false, &cpg::Submit::urgent)
                                    : submissions_.end();
            submissions_.insert(before, std::move(submit));
        }
    }
    // The vector keeps its memory for the next step.
    actions.clear();
    if (actions_.empty()) actions_.swap(actions);
}

void Driver::end_turn() {
    for (const zmtp::ServerConnectionId id : std::exchange(overflowed_, {})) {
        if (!peers_.contains(id)) continue;
        clients_->close(id);
        on_closed(id);
    }
    send_submissions();
    std::size_t room = stream_->room();
    for (const cpg::Submit& waiting : submissions_) {
        if (!waiting.urgent) room -= std::min(room, waiting.payload.size());
    }
    core_.flush(os::now(), room, actions_);
    carry_out();
    send_submissions();
    clients_->flush();

    if (core_.is_serving() && !was_serving_) {
        was_serving_ = true;
        watch_processes();
        if (serving_) serving_();
    }
    look_after_snapshot();
    // It has taken in all that came after its state: that is no state that kills.
    if (snapshots_ && has_state_ && !has_lived_ && core_.is_serving()) {
        has_lived_ = true;
        snapshots_->lived();
    }
}

void Driver::send_submissions() {
    const auto fits = [this](const cpg::Submit& next) {
        const std::size_t bytes = next.payload.size();
        return next.urgent ? stream_->fits_urgent(bytes) : stream_->fits(bytes);
    };
    while (!submissions_.empty() && fits(submissions_.front())) {
        const cpg::Submit next = std::move(submissions_.front());
        submissions_.pop_front();
        (void)stream_->submit(next.payload, next.safe, next.urgent);
    }
}

// Clients of the last life that have ended while nobody looked.
void Driver::watch_processes() {
    for (const cpg::SessionStatus& session : core_.status().sessions) {
        if (!session.is_connected) processes_.watch(session.kernel_pid);
    }
}

std::optional<base::Instant> Driver::next_deadline() const {
    const std::optional<base::Instant> next = core_.next_deadline();
    const std::optional<base::Instant> store_at = schedule_.next_deadline(core_);
    if (!next || !store_at) return next ? next : store_at;
    return std::min(*next, *store_at);
}

void Driver::deadline_passed() {
    const auto deadline = core_.next_deadline();
    if (deadline && *deadline <= os::now()) step(cpg::TimePassed{});
}

// ---------------------------------------------------------------- the snapshot

// ringd keeps what is not acknowledged: so only what is in the snapshot is.
void Driver::look_after_snapshot() {
    using Due = cpg::SnapshotSchedule::Due;
    if (draft_ && core_.holds(*draft_)) {
        const cpg::Core::Draft draft = *std::exchange(draft_, std::nullopt);
        schedule_.draft_stored(base::bytes_of(draft.snapshot));
        store(draft.snapshot, draft.applied);
    }
    const Due due = schedule_.due(os::now(), core_);
    if (due == Due::Snapshot || (due == Due::Draft && !snapshots_)) {
        store_snapshot();
    } else if (due == Due::Draft) {
        draft_ = core_.draft();
        schedule_.drafted();
    }
}

void Driver::store_snapshot(bool is_last) {
    if (!core_.can_snapshot()) return;
    draft_.reset();
    const auto snapshot = snapshots_ ? core_.snapshot(is_last) : std::vector<base::Buffer>();
    schedule_.stored(base::bytes_of(snapshot));
    store(snapshot, core_.applied());
}

// Without a place for snapshots nothing can be resumed, and everything is done with at once.
void Driver::store(std::span<const base::Buffer> snapshot, protocol::Cursor applied) {
    if (snapshots_) {
        has_state_ = true;
        if (const auto stored = snapshots_->store(snapshot); !stored) {
            log_.error("cannot keep the state, a restart will be a fresh one",
                       {{"ERROR", stored.error().text()}});
            snapshots_.reset();
        }
    }
    stored_ = applied;
    stream_->acknowledge(stored_);
}

// ---------------------------------------------------------------- clients

bool Driver::on_connected(zmtp::ServerConnectionId id, const zmtp::PeerCredentials& peer) {
    const auto pid = static_cast<std::uint32_t>(peer.pid);
    if (!access_.allows(peer) && !rules_.allows(peer)) {
        if (const auto suppressed = refusals_.admit(os::now(), peer.uid)) {
            log_.info("client is not allowed, refusing",
                      {{"UID", peer.uid}, {"GID", peer.gid}, {"SUPPRESSED", *suppressed}});
        }
        refused_.insert(id);
        return true;
    }
    peers_[id] = {.pid = pid, .uid = peer.uid};
    step(cpg::ClientConnected{.connection = of(id),
                              .uid = peer.uid,
                              .kernel_pid = pid,
                              .fresh_session = api::SessionId{random_.next()}});
    return true;
}

void Driver::on_message(zmtp::ServerConnectionId id, const base::Buffer& bytes) {
    if (refused_.erase(id) > 0) {
        const api::Refused refused{.error = static_cast<std::uint32_t>(cpg::CsError::Access),
                                   .reason = "neither root nor allowed by uidgid {}"};
        (void)clients_->send(id, api::encode_header(api::CpgdFrame{refused}));
        clients_->close(id);
        return;
    }
    const auto peer = peers_.find(id);
    if (peer == peers_.end()) return;  // Closed in this turn.
    auto frame = api::decode_client_frame(bytes);
    if (!frame) {
        step(cpg::ClientBroke{.connection = of(id)});
        return;
    }
    const auto* const ack = std::get_if<api::EventAck>(&*frame);
    const std::uint64_t acknowledged = ack == nullptr ? 0 : ack->event;
    const bool is_first = std::holds_alternative<api::Hello>(*frame) ||
                          std::holds_alternative<api::EventsHere>(*frame);
    if (is_first) on_first_frame(id, peer->second, *frame);
    keep_if_asked(id, *frame);
    const bool takes_runs = is_first && (clients_->peer_features(id) & api::kTakesRuns) != 0;
    step(cpg::ClientSent{
        .connection = of(id), .frame = std::move(*frame), .takes_runs = takes_runs});
    if (acknowledged > 0 && !deliveries_->acknowledged(id, acknowledged)) overflowed_.push_back(id);
}

// Not before: most sessions that ask for nothing end at once.
void Driver::keep_if_asked(zmtp::ServerConnectionId id, const api::ClientFrame& frame) {
    const std::uint32_t features = clients_->peer_features(id);
    const bool is_early =
        std::holds_alternative<api::EventsHere>(frame) && (features & api::kEventsIfAsked) == 0;
    const bool asks = !std::holds_alternative<api::Hello>(frame) && !is_early &&
                      !std::holds_alternative<api::Goodbye>(frame);
    if (asks || (features & api::kKeptIfAsked) == 0) clients_->keep(id);
}

void Driver::on_first_frame(zmtp::ServerConnectionId id, const Peer& peer,
                            api::ClientFrame& frame) {
    if (auto* hello = std::get_if<api::Hello>(&frame)) {
        hello->pid = session::member_pid(peer.pid, hello->pid);
        return;
    }
    // Only events go to it: whatever waits for room keeps nothing else waiting.
    if ((clients_->peer_features(id) & api::kTakesArea) != 0) deliveries_->add(id, peer.uid);
}

// The process may have ended, which says more than that its socket closed.
void Driver::on_closed(zmtp::ServerConnectionId id) {
    refused_.erase(id);
    deliveries_->remove(id);
    const auto peer = peers_.find(id);
    if (peer == peers_.end()) return;
    const std::uint32_t process = peer->second.pid;
    peers_.erase(peer);
    const bool may_come_back = core_.may_come_back(of(id));
    step(cpg::ClientGone{.connection = of(id)});
    if (may_come_back) processes_.watch(process);
}

AreasStatus Driver::areas() const {
    AreasStatus status{.from_ringd_bytes = stream_->lent_bytes(), .to_clients = {}};
    for (const Deliveries::AreaStatus& area : deliveries_->areas()) {
        const auto peer = peers_.find(area.connection);
        if (peer == peers_.end()) continue;
        status.to_clients.push_back({.kernel_pid = peer->second.pid,
                                     .bytes = area.bytes,
                                     .waiting_bytes = area.waiting_bytes});
    }
    return status;
}

// ---------------------------------------------------------------- the channel

void Driver::on_attached(const protocol::Attached& attached, protocol::Incarnation incarnation) {
    if (!attached.resumed) {
        submissions_.clear();  // Of the life before; the core submits again what matters.
        stored_ = {};
        draft_.reset();
        schedule_.start_afresh();
    }
    is_ring_lost_ = false;
    log_.notice("attached to the ring", {{"NODE", attached.self.value()},
                                         {"RESUMED", attached.resumed},
                                         {"INCARNATION", incarnation.value()}});
    step(cpg::RingAttached{
        .self = attached.self, .resumed = attached.resumed, .incarnation = incarnation});
}

void Driver::on_event(protocol::Event event) {
    schedule_.came(os::now(), bytes_of(event));
    step(cpg::RingHappened{std::move(event)});
}

void Driver::on_lost(const std::string& reason) {
    if (std::exchange(is_ring_lost_, true)) return;  // One line, not one a try.
    log_.warning("no ring, trying again until there is one", {{"REASON", reason}});
}

}  // namespace cpgd
