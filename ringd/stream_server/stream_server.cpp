#include "ringd/stream_server/stream_server.hpp"

#include "common/os/clock.hpp"

namespace stream {
namespace {

// As much as may be under way to a service (SwitchConfig::in_flight_bytes_max).
constexpr int kSendBufferBytes = 1 << 20;

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};

ConnectionId switch_id(zmtp::ServerConnectionId id) {
    return ConnectionId{id.value()};
}
zmtp::ServerConnectionId server_id(ConnectionId id) {
    return zmtp::ServerConnectionId{id.value()};
}

}  // namespace

StreamServer::StreamServer(os::EventLoop& loop, Options options, logging::Log& log)
    : loop_(loop), options_(std::move(options)), log_(log), switch_(options_.config) {
    if (!options_.restored) return;
    switch_ = std::move(*options_.restored);
    options_.restored.reset();
    const base::Instant now = os::now();
    for (const ConnectionId connection : switch_.connections()) {
        switch_.closed(now, connection);
    }
    std::vector<Output> nobody_hears;
    switch_.take_outputs(nobody_hears);
}

os::Result<std::unique_ptr<StreamServer>> StreamServer::create(os::EventLoop& loop,
                                                               zmtp::Listener listener,
                                                               Options options, logging::Log& log) {
    std::unique_ptr<StreamServer> made(new StreamServer(loop, std::move(options), log));
    StreamServer* self = made.get();
    // The Switch bounds what it sends and does not expect a frame to be refused.
    const zmtp::Limits limits{.queue_bytes_max = self->options_.config.retention_bytes_hard * 2,
                              .features = protocol::kTakesItems,
                              .send_buffer_bytes = kSendBufferBytes,
                              .peer_groups = true};
    auto server = zmtp::Server::create(
        loop, std::move(listener), limits,
        {.connected = [self](auto id, const auto& peer) { return self->connected(id, peer); },
         .message = [self](auto id, base::Buffer frame) { self->on_message(id, frame); },
         .closed =
             [self](auto id, const std::string& reason) {
                 self->log_.debug("service connection ended", {{"REASON", reason}});
                 self->closed(switch_id(id));
             },
         .process_ended =
             [self](auto id) {
                 self->server_->close(id);
                 self->closed(switch_id(id));
             }});
    if (!server) return base::fail(server.error());
    made->server_ = std::move(*server);
    made->loans_ = std::make_unique<ItemLoans>(*made->server_, made->item_memory_);
    return made;
}

void StreamServer::start() {
    loop_.set_deadline([this] { return switch_.next_deadline(); },
                       [this] {
                           const base::Instant now = os::now();
                           note(now, resume::StreamDeadline{});
                           switch_.deadline_passed(now);
                       });
    loop_.at_turn_end([this] { carry_out(); });
}

bool StreamServer::connected(zmtp::ServerConnectionId, const zmtp::PeerCredentials& peer) {
    if (options_.may_connect(peer)) return true;
    if (const auto suppressed = refusals_.admit(os::now(), peer.uid)) {
        log_.warning("refusing a connection to the ring socket",
                     {{"UID", peer.uid}, {"PID", peer.pid}, {"SUPPRESSED", *suppressed}});
    }
    return false;
}

void StreamServer::on_message(zmtp::ServerConnectionId id, const base::Buffer& frame) {
    if ((server_->peer_features(id) & protocol::kTakesItems) != 0) loans_->add(id);
    if (is_about_loans(id, frame)) return;
    const base::Instant now = os::now();
    note(now, resume::ServiceFrame{.from = switch_id(id), .frame = frame});
    switch_.frame(now, switch_id(id), frame);
}

// That is between the connection and us, and nothing for the next process.
bool StreamServer::is_about_loans(zmtp::ServerConnectionId id, const base::Buffer& frame) {
    if (!protocol::is_given_back(frame) || !loans_->has(id)) return false;
    const auto decoded = protocol::decode_service_frame(frame);
    if (!decoded) return false;
    loans_->given_back(id, std::get<protocol::GivenBack>(*decoded));
    return true;
}

void StreamServer::note(base::Instant now, const resume::Input::What& what) {
    if (recorder_ != nullptr) recorder_->note(now, what);
}

void StreamServer::closed(ConnectionId connection) {
    loans_->remove(server_id(connection));
    const base::Instant now = os::now();
    note(now, resume::ServiceClosed{.connection = connection});
    switch_.closed(now, connection);
}

void StreamServer::install(base::Instant now, const totem::InstallConfiguration& configuration) {
    switch_.install(now, configuration);
}

void StreamServer::deliver(base::Instant now, const totem::Deliver& delivered) {
    switch_.deliver(now, delivered);
}

void StreamServer::taken(const totem::Taken& taken) {
    switch_.taken(taken);
}

void StreamServer::take_submissions(std::size_t room, std::vector<totem::Submitted>& submissions) {
    switch_.take_submissions(room, submissions);
}

void StreamServer::carry_out() {
    send_outputs();
    if (recorder_ != nullptr) recorder_->quiet(os::now());
}

void StreamServer::send_outputs() {
    outputs_.clear();
    switch_.take_outputs(outputs_);
    if (recorder_ != nullptr && !outputs_.empty()) {
        const base::Instant now = os::now();
        recorder_->note(now, resume::OutputsTaken{});
        recorder_->before_acting(now);
    }
    for (const Output& output : outputs_) {
        std::visit(Overloaded{[&](const SendFrame& frame) { send(frame); },
                              [&](const CloseConnection& close) {
                                  loans_->remove(server_id(close.connection));
                                  server_->close(server_id(close.connection));
                              }},
                   output);
    }
    server_->flush();
}

void StreamServer::send(const SendFrame& frame) {
    const zmtp::ServerConnectionId to = server_id(frame.to);
    if (frame.is_bounded && server_->queued_bytes(to) > options_.config.observer_bytes_max) {
        // Without a gap or not at all: what it lacks is nowhere kept.
        log_.info("observer does not read, ending it", {{"BYTES", server_->queued_bytes(to)}});
        server_->close(to);
        closed(frame.to);
        return;
    }
    // Not taken: the connection is going, and closed() will tell. An observer gives nothing back.
    const auto lent = frame.is_bounded ? std::nullopt : loans_->lend(to, frame.head, frame.body);
    (void)(lent ? server_->send(to, *lent) : server_->send(to, frame.head, frame.body));
}

}  // namespace stream
