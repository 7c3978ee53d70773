#include "cpgd/driver/status_json.hpp"

#include <fmt/format.h>

namespace cpgd {
namespace {

using nlohmann::json;

json ids(const std::vector<base::NodeId>& nodes) {
    json list = json::array();
    for (const base::NodeId node : nodes) {
        list.push_back(node.value());
    }
    return list;
}

json group_json(const cpg::GroupStatus& group) {
    json members = json::array();
    for (const auto& member : group.members) {
        members.push_back({{"node", member.node.value()}, {"pid", member.pid}});
    }
    return {{"name", printable(group.name)},
            {"name_bytes", group.name.size()},
            {"members", std::move(members)},
            {"stopped_by", ids(group.stopped_by)}};
}

json session_json(const cpg::SessionStatus& session) {
    json groups = json::array();
    for (const std::string& group : session.groups) {
        groups.push_back(printable(group));
    }
    return {{"pid", session.pid},
            {"kernel_pid", session.kernel_pid},
            {"uid", session.uid},
            {"connected", session.is_connected},
            {"slow", session.is_slow},
            {"groups", std::move(groups)},
            {"events", session.events},
            {"acknowledged", session.acknowledged},
            {"queued_bytes", session.queued_bytes},
            {"held_bytes", session.held_bytes},
            {"outstanding_bytes", session.outstanding_bytes},
            {"window_bytes", session.window_bytes}};
}

json counters_json(const cpg::Counters& counters) {
    return {{"multicasts", counters.multicasts},
            {"multicast_bytes", counters.multicast_bytes},
            {"batches_submitted", counters.batches_submitted},
            {"batches_applied", counters.batches_applied},
            {"batches_refused", counters.batches_refused},
            {"events", counters.events},
            {"repeats_dropped", counters.repeats_dropped},
            {"exchanges", counters.exchanges},
            {"exchanges_aborted", counters.exchanges_aborted},
            {"sessions_stuck", counters.sessions_stuck},
            {"sessions_overflowed", counters.sessions_overflowed},
            {"protocol_errors", counters.protocol_errors},
            {"group_stops", counters.group_stops}};
}

}  // namespace

std::string printable(const std::string& name) {
    std::string text;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\\') {
            text += "\\\\";
        } else if (byte >= 0x20 && byte < 0x7f) {
            text += c;
        } else {
            text += fmt::format("\\x{:02x}", byte);
        }
    }
    return text;
}

json areas_json(const AreasStatus& status) {
    json clients = json::array();
    for (const AreasStatus::Client& client : status.to_clients) {
        clients.push_back({{"kernel_pid", client.kernel_pid},
                           {"bytes", client.bytes},
                           {"waiting_bytes", client.waiting_bytes}});
    }
    return {{"from_ringd_bytes", status.from_ringd_bytes}, {"to_clients", std::move(clients)}};
}

json status_json(const cpg::Status& status) {
    json groups = json::array();
    for (const auto& group : status.groups) {
        groups.push_back(group_json(group));
    }
    json sessions = json::array();
    for (const auto& session : status.sessions) {
        sessions.push_back(session_json(session));
    }
    return {{"node", status.self.value()},
            {"attached", status.is_attached},
            {"synchronised", status.is_synchronised},
            {"exchanging", status.is_exchanging},
            {"awaited", ids(status.awaited)},
            {"applied", status.applied.value()},
            {"ring",
             {{"seq", status.ring.seq}, {"representative", status.ring.representative.value()}}},
            {"nodes", ids(status.nodes)},
            {"groups", std::move(groups)},
            {"sessions", std::move(sessions)},
            {"pending_records", status.pending_records},
            {"unordered_batches", status.unordered_batches},
            {"counters", counters_json(status.counters)}};
}

}  // namespace cpgd
