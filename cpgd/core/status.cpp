#include "cpgd/core/core.hpp"

namespace cpg {

Status Core::status() const {
    Status status;
    status.self = self_;
    status.is_attached = is_attached_;
    status.is_synchronised = is_serving();
    status.is_exchanging = exchange_.has_value();
    status.applied = applied_;
    status.ring = view_.ring;
    status.pending_records = pending_.size();
    status.unordered_batches = unordered_.size();
    status.counters = counters_;
    for (const protocol::ViewMember& member : view_.members) {
        status.nodes.push_back(member.node);
        if (!exchange_) continue;
        const auto said = exchange_->brought.find(member.node);
        const bool is_awaited = said == exchange_->brought.end() || !said->second.is_whole;
        if (is_awaited) status.awaited.push_back(member.node);
    }
    for (const auto& [name, index] : groups_.by_name()) {
        const auto& stopped_by = groups_.at(index).stopped_by;
        status.groups.push_back({.name = name,
                                 .members = members_of(index),
                                 .stopped_by = {stopped_by.begin(), stopped_by.end()}});
    }
    for (const auto& [id, client] : clients_) {
        SessionStatus& session = status.sessions.emplace_back();
        session.session = id;
        session.pid = client.pid;
        session.kernel_pid = client.kernel_pid;
        session.uid = client.uid;
        session.is_connected = client.requests.has_value();
        session.is_slow = client.is_slow;
        session.events = client.next_event - 1;
        session.acknowledged = client.acknowledged;
        session.queued_bytes = client.queued_bytes;
        session.held_bytes = client.held_bytes;
        session.outstanding_bytes = client.outstanding_bytes;
        session.window_bytes = client.told_window;
        const Session* known = groups_.find({self_, id});
        if (known == nullptr) continue;
        for (const auto& [handle, group] : known->handles) {
            session.groups.push_back(groups_.at(group).name);
        }
    }
    return status;
}

}  // namespace cpg
