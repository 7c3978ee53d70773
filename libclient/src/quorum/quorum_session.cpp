#include "libclient/src/quorum/quorum_session.hpp"

#include <utility>

#include "libclient/src/service/resume_time.hpp"

namespace client {

namespace api = protocol::quorum;
using protocol::session::Service;

CsResult<std::unique_ptr<QuorumSession>> QuorumSession::open(
    Service service, std::optional<std::chrono::milliseconds> resume) {
    std::unique_ptr<QuorumSession> made(new QuorumSession);
    auto session = ServiceSession::open(
        {.socket = service == Service::Quorum ? "quorum" : "votequorum",
         .service = service,
         .resume = resume ? *resume : resume_time("HALO_QUORUM_RESUME_MS"),
         .subscriptions = [self = made.get()] { return self->subscriptions(); }});
    if (!session) return base::fail(session.error());
    made->session_ = *std::move(session);
    return made;
}

// What holds now is told again: it may have changed while nobody told us.
std::vector<base::Buffer> QuorumSession::subscriptions() {
    const std::lock_guard lock(mutex_);
    std::vector<base::Buffer> requests;
    if (device_) requests.push_back(api::encode(api::Request{api::DeviceRegister{*device_}}));
    if (tracked_) {
        requests.push_back(
            api::encode(api::Request{api::Track{.context = tracked_->context, .now = true}}));
    }
    return requests;
}

cs_error_t QuorumSession::tell(const api::Request& request) {
    const auto reply = session_->call(api::encode(request));
    return reply ? CS_OK : reply.error();
}

CsResult<api::Answer> QuorumSession::ask(const api::Request& request) {
    const auto reply = session_->call(api::encode(request));
    if (!reply) return base::fail(reply.error());
    auto answer = api::decode_answer(*reply);
    if (!answer) return base::fail(CS_ERR_LIBRARY);
    return *std::move(answer);
}

cs_error_t QuorumSession::track(const api::Track& track) {
    const cs_error_t told = tell(track);
    const std::lock_guard lock(mutex_);
    if (told == CS_OK) tracked_ = track;
    return told;
}

cs_error_t QuorumSession::stop_tracking() {
    {
        const std::lock_guard lock(mutex_);
        tracked_.reset();
    }
    return tell(api::TrackStop{});
}

cs_error_t QuorumSession::register_device(const std::string& name) {
    const cs_error_t told = tell(api::DeviceRegister{.name = name});
    const std::lock_guard lock(mutex_);
    if (told == CS_OK) device_ = name;
    return told;
}

cs_error_t QuorumSession::unregister_device(const std::string& name) {
    const cs_error_t told = tell(api::DeviceUnregister{.name = name});
    const std::lock_guard lock(mutex_);
    if (told == CS_OK && device_ == name) device_.reset();
    return told;
}

cs_error_t QuorumSession::rename_device(const std::string& old_name, const std::string& new_name) {
    const cs_error_t told = tell(api::DeviceUpdate{.old_name = old_name, .new_name = new_name});
    const std::lock_guard lock(mutex_);
    if (told == CS_OK && device_ == old_name) device_ = new_name;
    return told;
}

cs_error_t QuorumSession::next_event(Event& event, Wait wait) {
    ServiceSession::Event next;
    const cs_error_t taken = session_->next_event(next, wait);
    if (taken != CS_OK) return taken;
    if (const auto* payload = std::get_if<base::Buffer>(&next)) {
        auto answer = api::decode_answer(*payload);
        if (!answer) return CS_ERR_LIBRARY;
        event = *std::move(answer);
    } else {
        event = ServiceSession::Resumed{};
    }
    return CS_OK;
}

}  // namespace client
