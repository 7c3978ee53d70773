#include "libclient/src/cmap/client.hpp"

#include <algorithm>
#include <utility>

namespace client {
namespace {

namespace api = protocol::cmap;

}  // namespace

CsResult<std::unique_ptr<CmapClient>> CmapClient::open(const Options& options) {
    auto client = std::unique_ptr<CmapClient>(new CmapClient(options.map));
    CmapClient* const raw = client.get();
    auto session = ServiceSession::open({.socket = "cmap",
                                         .service = protocol::session::Service::Cmap,
                                         .resume = options.resume,
                                         .subscriptions = [raw] { return raw->subscriptions(); }});
    if (!session) return base::fail(session.error());
    client->session_ = *std::move(session);
    return client;
}

CsResult<api::Answer> CmapClient::ask(const api::Request& request, std::string* why) {
    const auto reply = session_->ask(api::encode(request));
    if (!reply) return base::fail(reply.error());
    if (reply->error != CS_OK) {
        const auto refused = api::decode_answer(reply->payload);
        const auto* refusal = refused ? std::get_if<api::Refusal>(&*refused) : nullptr;
        if (why != nullptr && refusal != nullptr) *why = refusal->reason;
        return base::fail(reply->error);
    }
    auto answer = api::decode_answer(reply->payload);
    if (!answer) return base::fail(CS_ERR_LIBRARY);
    return *std::move(answer);
}

template <class Wanted>
CsResult<Wanted> CmapClient::ask_for(const api::Request& request, std::string* why) {
    auto answer = ask(request, why);
    if (!answer) return base::fail(answer.error());
    auto* wanted = std::get_if<Wanted>(&*answer);
    if (wanted == nullptr) return base::fail(CS_ERR_LIBRARY);
    return std::move(*wanted);
}

cs_error_t CmapClient::change(const api::Request& request, std::string* why) {
    const auto answer = ask(request, why);
    return answer ? CS_OK : answer.error();
}

CsResult<api::Value> CmapClient::get(const std::string& key, Read read, std::string* why) {
    api::Get get{.map = map_, .key = key, .own = read == Read::Own};
    auto got = ask_for<api::Got>(get, why);
    if (!got && got.error() == CS_ERR_TRY_AGAIN && read == Read::Compatible) {
        get.own = true;
        got = ask_for<api::Got>(get, why);
    }
    // Not in time: nothing was done, and it may be asked again.
    if (!got && got.error() == CS_ERR_TIMEOUT) return base::fail(CS_ERR_TRY_AGAIN);
    if (!got) return base::fail(got.error());
    return std::move(got->value);
}

cs_error_t CmapClient::set(const std::string& key, Value value, std::string* why) {
    return change(api::Set{.map = map_, .key = key, .value = std::move(value)}, why);
}

cs_error_t CmapClient::erase(const std::string& key, std::string* why) {
    return change(api::Delete{.map = map_, .key = key}, why);
}

cs_error_t CmapClient::step(const std::string& key, std::int32_t by, std::string* why) {
    return change(api::Step{.map = map_, .key = key, .step = by}, why);
}

CsResult<api::Next> CmapClient::next(const std::string& prefix, const std::string& after) {
    return ask_for<api::Next>(api::Iterate{.map = map_, .prefix = prefix, .after = after});
}

CsResult<api::Listed> CmapClient::list(const std::string& prefix, const std::string& after,
                                       Read read, std::string* why) {
    const bool own = read == Read::Own;
    return ask_for<api::Listed>(
        api::List{.map = map_, .prefix = prefix, .after = after, .own = own}, why);
}

cs_error_t CmapClient::transact(api::Transaction transaction, std::uint32_t& failed,
                                std::string* why) {
    const auto reply = session_->ask(api::encode(api::Request{std::move(transaction)}));
    if (!reply) return reply.error();
    const auto answer = api::decode_answer(reply->payload);
    if (const auto* done = answer ? std::get_if<api::Done>(&*answer) : nullptr) {
        failed = done->failed_condition;
    } else if (const auto* refusal = answer ? std::get_if<api::Refusal>(&*answer) : nullptr) {
        if (why != nullptr) *why = refusal->reason;
    }
    return reply->error;
}

// ------------------------------------------------------------------------------------- trackers

cs_error_t CmapClient::track(TrackId track, std::string key, bool prefix, std::uint8_t events) {
    const api::TrackAdd request{.map = map_,
                                .track = track,
                                .key = std::move(key),
                                .prefix = prefix,
                                .events = events,
                                .since = {}};
    {
        const std::lock_guard lock(tracks_mutex_);
        tracks_.insert_or_assign(track, Tracked{.request = request});
    }
    const auto tracking = ask_for<api::Tracking>(request);
    const std::lock_guard lock(tracks_mutex_);
    const auto found = tracks_.find(track);
    if (found == tracks_.end()) return CS_OK;  // Ended by its own first event.
    if (!tracking) {
        tracks_.erase(found);
        return tracking.error();
    }
    found->second.is_confirmed = true;
    api::Revision& since = found->second.request.since;
    since = std::max(since, tracking->revision);
    return CS_OK;
}

cs_error_t CmapClient::untrack(TrackId track) {
    {
        const std::lock_guard lock(tracks_mutex_);
        tracks_.erase(track);
    }
    return change(api::TrackDelete{.track = track}, nullptr);
}

// All changes before the last one taken were taken or are no business of ours. The last one itself
// may concern several trackers, and not all of them have been told.
std::vector<base::Buffer> CmapClient::subscriptions() {
    const std::lock_guard lock(tracks_mutex_);
    std::vector<base::Buffer> again;
    for (const auto& [id, tracked] : tracks_) {
        if (!tracked.is_confirmed) continue;  // Its request is not answered, and is sent again.
        api::TrackAdd request = tracked.request;
        if (taken_ > api::Revision{}) {
            request.since = std::max(request.since, api::Revision{taken_.value() - 1});
        }
        again.push_back(api::encode(api::Request{std::move(request)}));
    }
    return again;
}

cs_error_t CmapClient::next_change(std::optional<api::Changed>& change, Wait wait) {
    ServiceSession::Event event;
    const cs_error_t taken = session_->next_event(event, wait);
    if (taken != CS_OK) return taken;
    change.reset();
    const auto* payload = std::get_if<base::Buffer>(&event);
    if (payload == nullptr) return CS_OK;
    auto decoded = api::decode_changed(*payload);
    if (!decoded) return CS_ERR_LIBRARY;
    {
        const std::lock_guard lock(tracks_mutex_);
        taken_ = std::max(taken_, decoded->revision);
        const auto found = tracks_.find(decoded->track);
        if (found != tracks_.end()) {
            api::Revision& since = found->second.request.since;
            since = std::max(since, decoded->revision);
        }
    }
    change = *std::move(decoded);
    return CS_OK;
}

}  // namespace client
