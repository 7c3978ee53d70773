#include "cmapd/driver/status_json.hpp"

#include <fmt/format.h>

namespace cmapd {
namespace {

using nlohmann::json;

const char* name_of(session::Service service) {
    switch (service) {
        case session::Service::Cmap:
            return "cmap";
        case session::Service::Cfg:
            return "cfg";
        case session::Service::Cpg:
            return "cpg";
        case session::Service::Quorum:
            return "quorum";
        case session::Service::Votequorum:
            return "votequorum";
    }
    return "";
}

json session_json(const session::SessionStatus& session) {
    return {{"service", name_of(session.client.service)},
            {"pid", session.client.pid},
            {"kernel_pid", session.client.kernel_pid},
            {"uid", session.client.uid},
            {"came_back", session.client.came_back},
            {"requests", session.requests},
            {"events", session.events},
            {"queued_bytes", session.queued_bytes}};
}

json counters_json(const cmap::Counters& keys, const session::Counters& sessions) {
    return {{"gets", keys.gets},
            {"cluster_reads", keys.cluster_reads},
            {"sets", keys.sets},
            {"deletes", keys.deletes},
            {"steps", keys.steps},
            {"transactions", keys.transactions},
            {"iterations", keys.iterations},
            {"changes", keys.changes},
            {"notifications", keys.notifications},
            {"commits", keys.commits},
            {"commits_failed", keys.commits_failed},
            {"repeats_answered", keys.repeats_answered},
            {"malformed", keys.malformed},
            {"sessions_opened", sessions.opened},
            {"sessions_came_back", sessions.came_back},
            {"sessions_refused", sessions.refused},
            {"sessions_overflowed", sessions.overflowed},
            {"requests", sessions.requests},
            {"events", sessions.events},
            {"protocol_errors", sessions.protocol_errors}};
}

json cluster_json(const cmap::Replica& replica) {
    json members = json::array();
    for (const protocol::ViewMember& member : replica.view().members) {
        members.push_back(member.node.value());
    }
    const protocol::View& view = replica.view();
    return {
        {"writable", replica.is_open()},
        {"why_not", replica.why_closed()},
        {"synchronised", replica.is_synchronised()},
        {"members", std::move(members)},
        {"ring", {{"seq", view.ring.seq}, {"representative", view.ring.representative.value()}}},
        {"keys", replica.keys().size()},
        {"version",
         {{"ring_seq", replica.version().epoch.seq},
          {"representative", replica.version().epoch.representative.value()},
          {"count", replica.version().count}}}};
}

}  // namespace

json value_json(const cmap::Value& value) {
    namespace api = protocol::cmap;
    using api::Type;
    switch (value.type) {
        case Type::Int8:
            return *api::as<std::int8_t>(value);
        case Type::Uint8:
            return *api::as<std::uint8_t>(value);
        case Type::Int16:
            return *api::as<std::int16_t>(value);
        case Type::Uint16:
            return *api::as<std::uint16_t>(value);
        case Type::Int32:
            return *api::as<std::int32_t>(value);
        case Type::Uint32:
            return *api::as<std::uint32_t>(value);
        case Type::Int64:
            return *api::as<std::int64_t>(value);
        case Type::Uint64:
            return *api::as<std::uint64_t>(value);
        case Type::Float:
            return *api::as<float>(value);
        case Type::Double:
            return *api::as<double>(value);
        case Type::String:
            return value.bytes.substr(0, value.bytes.size() - 1);
        case Type::Binary: {
            std::string hex;
            for (const char byte : value.bytes) {
                hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
            }
            return hex;
        }
    }
    return nullptr;
}

json status_json(const Driver& driver) {
    json sessions = json::array();
    for (const session::SessionStatus& session : driver.sessions().sessions()) {
        sessions.push_back(session_json(session));
    }
    const cmap::Core& core = driver.core();
    return {{"attached", driver.is_attached()},
            {"keys", core.keys().all().size()},
            {"revision", core.keys().revision().value()},
            {"trackers", core.trackers()},
            {"lasting_keys_problem", driver.store().state_problem()},
            {"cluster", cluster_json(core.replica())},
            {"sessions", std::move(sessions)},
            {"counters", counters_json(core.counters(), driver.sessions().counters())}};
}

}  // namespace cmapd
