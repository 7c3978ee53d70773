#include "libclient/src/cpg/instance.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "libclient/src/base/cancellation.hpp"
#include "libclient/src/base/dispatch.hpp"

namespace client {
namespace {

namespace cpg = protocol::cpg;

std::vector<cpg_address> addresses_of(const std::vector<cpg::Member>& members) {
    std::vector<cpg_address> addresses;
    addresses.reserve(members.size());
    for (const cpg::Member& member : members) {
        addresses.push_back({.nodeid = member.node.value(),
                             .pid = member.pid,
                             .reason = static_cast<std::uint32_t>(member.reason)});
    }
    return addresses;
}

}  // namespace

// ------------------------------------------------------------------------------------- dispatch

cs_error_t CpgInstance::dispatch(cs_dispatch_flags_t flags) {
    CpgEvent event;
    return dispatch_events(
        flags, finalized_, [&](Wait wait) { return session_->next_event(event, wait); },
        [&] { run_callback(event); });
}

void CpgInstance::run_callback(CpgEvent& event) {
    if (const auto* message = std::get_if<CpgEvent::Message>(&event.what)) {
        run(*message, event.message);
    } else if (const auto* confchg = std::get_if<cpg::Confchg>(&event.what)) {
        run(*confchg);
    } else if (const auto* totem = std::get_if<cpg::TotemConfchg>(&event.what)) {
        run(*totem);
    }
}

void CpgInstance::run(const CpgEvent::Message& message, std::vector<std::byte>& bytes) {
    if (callbacks_.cpg_deliver_fn == nullptr) return;
    const cpg_name group = name_of(message.group);
    // A program may look at an empty message too, if only at the pointer.
    std::byte nothing{};
    void* data = bytes.empty() ? &nothing : bytes.data();
    const CancellationShield::Opening opening;
    callbacks_.cpg_deliver_fn(handle_, &group, message.node.value(), message.pid, data,
                              bytes.size());
}

void CpgInstance::run(const cpg::Confchg& confchg) {
    const cpg_name group = name_of(confchg.handle);
    const auto self = [&](const cpg::Member& member) {
        return member.node == session_->self() &&
               member.pid == static_cast<std::uint32_t>(::getpid());
    };
    if (std::ranges::any_of(confchg.left, self)) {
        // Nothing comes after it.
        const std::lock_guard lock(group_mutex_);
        names_.erase(confchg.handle);
        if (joined_ == confchg.handle) joined_.reset();
    }
    if (callbacks_.cpg_confchg_fn == nullptr) return;
    const auto members = addresses_of(confchg.members);
    const auto left = addresses_of(confchg.left);
    const auto joined = addresses_of(confchg.joined);
    const CancellationShield::Opening opening;
    callbacks_.cpg_confchg_fn(handle_, &group, members.data(), members.size(), left.data(),
                              left.size(), joined.data(), joined.size());
}

void CpgInstance::run(const cpg::TotemConfchg& confchg) {
    if (callbacks_.cpg_totem_confchg_fn == nullptr) return;
    const cpg_ring_id ring{.nodeid = confchg.ring.representative.value(), .seq = confchg.ring.seq};
    std::vector<std::uint32_t> members;
    members.reserve(confchg.members.size());
    for (const base::NodeId node : confchg.members) {
        members.push_back(node.value());
    }
    const CancellationShield::Opening opening;
    callbacks_.cpg_totem_confchg_fn(handle_, ring, static_cast<std::uint32_t>(members.size()),
                                    members.data());
}

cpg_name CpgInstance::name_of(GroupHandle group) {
    const std::lock_guard lock(group_mutex_);
    cpg_name name{};
    const auto found = names_.find(group);
    if (found == names_.end()) return name;
    name.length = static_cast<std::uint32_t>(found->second.size());
    std::memcpy(name.value, found->second.data(), found->second.size());
    return name;
}

// --------------------------------------------------------------------------------------- groups

cs_error_t CpgInstance::join(const std::string& group) {
    GroupHandle handle{};
    {
        const std::lock_guard lock(group_mutex_);
        if (joined_) return session_->is_alive() ? CS_ERR_EXIST : CS_ERR_LIBRARY;
        handle = session_->new_group_handle();
        joined_ = handle;  // Its events may come before the answer.
        names_.emplace(handle, group);
    }
    const cs_error_t joined = session_->join(group, handle);
    if (joined != CS_OK) {
        const std::lock_guard lock(group_mutex_);
        if (joined_ == handle) joined_.reset();
        names_.erase(handle);
    }
    return joined;
}

cs_error_t CpgInstance::leave(const std::string& group) {
    GroupHandle handle{};
    {
        const std::lock_guard lock(group_mutex_);
        const bool is_ours = joined_ && names_[*joined_] == group;
        if (!is_ours) return session_->is_alive() ? CS_ERR_NOT_EXIST : CS_ERR_LIBRARY;
        handle = *joined_;
    }
    const cs_error_t left = session_->leave(handle);
    if (left == CS_OK) {
        const std::lock_guard lock(group_mutex_);
        if (joined_ == handle) joined_.reset();
    }
    return left;
}

cs_error_t CpgInstance::mcast(bool safe, std::span<const iovec> message) {
    std::optional<GroupHandle> group;
    {
        const std::lock_guard lock(group_mutex_);
        group = joined_;
    }
    if (group) return session_->mcast(*group, safe, message);
    // As Corosync does: nobody is there to whom anything was promised.
    return session_->is_alive() ? CS_OK : CS_ERR_LIBRARY;
}

cs_error_t CpgInstance::finalize() {
    finalized_ = true;
    return session_->close();
}

}  // namespace client
