#include "cpgd/core/groups.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace cpg {

Session* Groups::find(const SessionKey& key) {
    const auto found = sessions_.find(key);
    return found == sessions_.end() ? nullptr : &found->second;
}

const Session* Groups::find(const SessionKey& key) const {
    const auto found = sessions_.find(key);
    return found == sessions_.end() ? nullptr : &found->second;
}

std::optional<GroupIndex> Groups::index_of(const std::string& name) const {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return std::nullopt;
    return found->second;
}

void Groups::open(const SessionKey& key, std::uint32_t pid) {
    (void)sessions_.try_emplace(key, Session{.pid = pid, .handles = {}});
}

GroupIndex Groups::group_named(const std::string& name) {
    if (const auto index = index_of(name)) return *index;
    GroupIndex index{static_cast<std::uint32_t>(slots_.size())};
    if (free_.empty()) {
        slots_.emplace_back();
    } else {
        index = free_.back();
        free_.pop_back();
    }
    slots_[index.value()] = {.name = name, .members = {}, .stopped_by = {}};
    by_name_.emplace(name, index);
    return index;
}

bool Groups::join(const SessionKey& key, GroupHandle handle, const std::string& group) {
    Session& session = sessions_.at(key);
    const GroupIndex index = group_named(group);
    auto& members = slots_[index.value()].members;
    const bool seated =
        members.emplace(Address{key.node, session.pid}, Seat{key.session, handle}).second;
    if (!seated) return false;
    const bool unused = session.handles.emplace(handle, index).second;
    INVARIANT(unused);
    return true;
}

// A node without a member has nobody who could say "go": its stop ends with its last member.
void Groups::unseat(Group& group, const Address& member) {
    const auto erased = group.members.erase(member);
    INVARIANT(erased == 1);
    const auto next = group.members.lower_bound(Address{member.node, 0});
    if (next == group.members.end() || next->first.node != member.node) {
        group.stopped_by.erase(member.node);
    }
}

std::optional<GroupChange> Groups::leave(const SessionKey& key, GroupHandle handle) {
    Session& session = sessions_.at(key);
    const auto seat = session.handles.find(handle);
    if (seat == session.handles.end()) return std::nullopt;
    const GroupIndex index = seat->second;
    const Address member{key.node, session.pid};
    unseat(slots_[index.value()], member);
    session.handles.erase(seat);
    return GroupChange{.group = index, .members = {member}};
}

std::vector<GroupChange> Groups::by_group_name(
    std::map<GroupIndex, std::vector<Address>> taken) const {
    std::vector<GroupChange> changes;
    changes.reserve(taken.size());
    for (auto& [index, members] : taken) {
        std::ranges::sort(members);
        changes.push_back({.group = index, .members = std::move(members)});
    }
    std::ranges::sort(changes, [this](const GroupChange& a, const GroupChange& b) {
        return at(a.group).name < at(b.group).name;
    });
    return changes;
}

std::vector<GroupChange> Groups::end(const SessionKey& key) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end()) return {};
    std::map<GroupIndex, std::vector<Address>> taken;
    const Address member{key.node, found->second.pid};
    for (const auto& [handle, index] : found->second.handles) {
        unseat(slots_[index.value()], member);
        taken[index].push_back(member);
    }
    sessions_.erase(found);
    return by_group_name(std::move(taken));
}

std::vector<GroupChange> Groups::remove_nodes(const std::set<base::NodeId>& nodes) {
    std::map<GroupIndex, std::vector<Address>> taken;
    for (const base::NodeId node : nodes) {
        auto session = sessions_.lower_bound(SessionKey{node, SessionId{}});
        while (session != sessions_.end() && session->first.node == node) {
            const Address member{node, session->second.pid};
            for (const auto& [handle, index] : session->second.handles) {
                unseat(slots_[index.value()], member);
                taken[index].push_back(member);
            }
            session = sessions_.erase(session);
        }
    }
    return by_group_name(std::move(taken));
}

std::vector<GroupChange> Groups::install(base::NodeId node, std::span<const SessionState> sessions,
                                         std::span<const std::string> stopped) {
    std::map<GroupIndex, std::vector<Address>> brought;
    for (const SessionState& state : sessions) {
        const SessionKey key{node, state.session};
        if (sessions_.contains(key)) continue;  // The node broke our rules.
        open(key, state.pid);
        Session& session = sessions_.at(key);
        session.number = state.number;
        session.request = state.request;
        for (const HandleState& handle : state.handles) {
            if (!join(key, handle.handle, handle.group)) continue;  // As above.
            brought[*index_of(handle.group)].push_back({node, state.pid});
        }
    }
    for (const std::string& group : stopped) {
        (void)set_stopped(node, group, true);
    }
    return by_group_name(std::move(brought));
}

bool Groups::set_stopped(base::NodeId node, const std::string& group, bool stopped) {
    const auto index = index_of(group);
    if (!index) return false;
    Group& slot = slots_[index->value()];
    const auto member = slot.members.lower_bound(Address{node, 0});
    if (member == slot.members.end() || member->first.node != node) return false;
    if (stopped) {
        slot.stopped_by.insert(node);
    } else {
        slot.stopped_by.erase(node);
    }
    return true;
}

void Groups::drop_if_empty(GroupIndex index) {
    Group& group = slots_[index.value()];
    if (!group.members.empty() || by_name_.erase(group.name) == 0) return;
    INVARIANT(group.stopped_by.empty());
    group = {};
    free_.push_back(index);
}

std::vector<SessionState> Groups::sessions_of(base::NodeId node) const {
    std::vector<SessionState> states;
    for (auto session = sessions_.lower_bound(SessionKey{node, SessionId{}});
         session != sessions_.end() && session->first.node == node; ++session) {
        SessionState& state = states.emplace_back();
        state.session = session->first.session;
        state.pid = session->second.pid;
        state.number = session->second.number;
        state.request = session->second.request;
        for (const auto& [handle, index] : session->second.handles) {
            state.handles.push_back({.handle = handle, .group = at(index).name});
        }
    }
    return states;
}

std::vector<std::string> Groups::stopped_by(base::NodeId node) const {
    std::vector<std::string> names;
    for (const auto& [name, index] : by_name_) {
        if (at(index).stopped_by.contains(node)) names.push_back(name);
    }
    return names;
}

}  // namespace cpg
