// libcpg: the C interface. Arguments are checked here; what they mean is in instance.cpp and
// session.cpp.
#include "corosync/cpg.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libclient/src/base/api_boundary.hpp"
#include "libclient/src/base/fork_guard.hpp"
#include "libclient/src/base/handle_table.hpp"
#include "libclient/src/cpg/instance.hpp"
#include "libclient/src/service/resume_time.hpp"

namespace {

using client::api_boundary;
using client::CpgInstance;
using client::CpgSession;

// What cpg_max_atomic_msgsize_get says: Corosync's number, which programs size their messages by.
constexpr std::uint32_t kAtomicMessageBytes = 1'047'552;
static_assert(kAtomicMessageBytes <= protocol::cpg::kPartBytesMax);
static_assert(CPG_MAX_NAME_LENGTH == protocol::cpg::kGroupNameMax);

// A walk over groups and members as they were at its start.
struct Iteration {
    cpg_handle_t owner = 0;
    std::mutex mutex;
    std::vector<cpg_iteration_description_t> entries;
    std::size_t next = 0;
};

struct Handles {
    client::HandleTable<CpgInstance> instances;
    client::HandleTable<Iteration> iterations;
};
const client::PerProcess<Handles> handles;

// Runs `body` on what the handle stands for.
template <class Body>
cs_error_t with_instance(cpg_handle_t handle, Body&& body) {
    auto* const all = handles.get();
    if (all == nullptr) return CS_ERR_BAD_HANDLE;
    return api_boundary([&] {
        const auto instance = all->instances.find(handle);
        return instance == nullptr ? CS_ERR_BAD_HANDLE : body(*instance);
    });
}

// As above, for what a daemon that is gone makes meaningless.
template <class Body>
cs_error_t with_live_instance(cpg_handle_t handle, Body&& body) {
    return with_instance(handle, [&](CpgInstance& instance) {
        return instance.session().is_alive() ? body(instance) : CS_ERR_LIBRARY;
    });
}

client::CsResult<std::string> name_in(const cpg_name* name) {
    if (name == nullptr) return base::fail(CS_ERR_INVALID_PARAM);
    if (name->length > CPG_MAX_NAME_LENGTH) return base::fail(CS_ERR_NAME_TOO_LONG);
    return std::string(name->value, name->length);
}

cs_error_t initialize(cpg_handle_t* handle, const cpg_model_v1_data_t& data, void* context) {
    if (handle == nullptr) return CS_ERR_INVALID_PARAM;
    if ((data.flags & ~unsigned{CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF}) != 0) {
        return CS_ERR_INVALID_PARAM;
    }
    auto* const all = handles.make();
    if (all == nullptr) return CS_ERR_NO_RESOURCES;
    return api_boundary([&] {
        const bool initial = (data.flags & CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF) != 0;
        auto session = CpgSession::open({.totem_events = data.cpg_totem_confchg_fn != nullptr,
                                         .initial_totem_event = initial,
                                         .resume = client::resume_time("HALO_CPG_RESUME_MS")});
        if (!session) return session.error();
        const auto instance = std::make_shared<CpgInstance>(*std::move(session), data, context);
        const cpg_handle_t added = all->instances.add(instance);
        instance->set_handle(added);
        *handle = added;
        return CS_OK;
    });
}

cpg_iteration_description_t description_of(const std::string& group) {
    cpg_iteration_description_t description{};
    description.group.length = static_cast<std::uint32_t>(group.size());
    std::memcpy(description.group.value, group.data(),
                std::min<std::size_t>(group.size(), CPG_MAX_NAME_LENGTH));
    return description;
}

std::vector<cpg_iteration_description_t> entries_of(
    const std::vector<protocol::cpg::GroupMembers>& groups, bool names_only) {
    std::vector<cpg_iteration_description_t> entries;
    for (const auto& group : groups) {
        cpg_iteration_description_t entry = description_of(group.group);
        if (names_only) entries.push_back(entry);
        if (names_only) continue;
        for (const auto& member : group.members) {
            entry.nodeid = member.node.value();
            entry.pid = member.pid;
            entries.push_back(entry);
        }
    }
    return entries;
}

}  // namespace

cs_error_t cpg_initialize(cpg_handle_t* handle, cpg_callbacks_t* callbacks) {
    cpg_model_v1_data_t data{};
    data.model = CPG_MODEL_V1;
    if (callbacks != nullptr) {
        data.cpg_deliver_fn = callbacks->cpg_deliver_fn;
        data.cpg_confchg_fn = callbacks->cpg_confchg_fn;
    }
    return initialize(handle, data, nullptr);
}

cs_error_t cpg_model_initialize(cpg_handle_t* handle, cpg_model_t model,
                                cpg_model_data_t* model_data, void* context) {
    if (model != CPG_MODEL_V1) return CS_ERR_INVALID_PARAM;
    cpg_model_v1_data_t data{};
    if (model_data != nullptr) std::memcpy(&data, model_data, sizeof(data));
    return initialize(handle, data, context);
}

cs_error_t cpg_finalize(cpg_handle_t handle) {
    auto* const all = handles.get();
    if (all == nullptr) return CS_ERR_BAD_HANDLE;
    return api_boundary([&] {
        const auto instance = all->instances.remove(handle);
        if (instance == nullptr) return CS_ERR_BAD_HANDLE;
        all->iterations.remove_if(
            [&](const Iteration& iteration) { return iteration.owner == handle; });
        return instance->finalize();
    });
}

cs_error_t cpg_fd_get(cpg_handle_t handle, int* fd) {
    return with_instance(handle, [&](CpgInstance& instance) {
        if (fd == nullptr) return CS_ERR_INVALID_PARAM;
        return client::hand_out(instance.session().event_fd(), *fd);
    });
}

cs_error_t cpg_max_atomic_msgsize_get(cpg_handle_t handle, uint32_t* size) {
    return with_instance(handle, [&](CpgInstance&) {
        if (size == nullptr) return CS_ERR_INVALID_PARAM;
        *size = kAtomicMessageBytes;
        return CS_OK;
    });
}

cs_error_t cpg_context_get(cpg_handle_t handle, void** context) {
    return with_instance(handle, [&](CpgInstance& instance) {
        if (context == nullptr) return CS_ERR_INVALID_PARAM;
        *context = instance.context();
        return CS_OK;
    });
}

cs_error_t cpg_context_set(cpg_handle_t handle, void* context) {
    return with_instance(handle, [&](CpgInstance& instance) {
        instance.set_context(context);
        return CS_OK;
    });
}

cs_error_t cpg_dispatch(cpg_handle_t handle, cs_dispatch_flags_t dispatch_types) {
    return with_instance(handle,
                         [&](CpgInstance& instance) { return instance.dispatch(dispatch_types); });
}

cs_error_t cpg_join(cpg_handle_t handle, const struct cpg_name* group) {
    return with_instance(handle, [&](CpgInstance& instance) {
        const auto name = name_in(group);
        return name ? instance.join(*name) : name.error();
    });
}

cs_error_t cpg_leave(cpg_handle_t handle, const struct cpg_name* group) {
    return with_instance(handle, [&](CpgInstance& instance) {
        const auto name = name_in(group);
        return name ? instance.leave(*name) : name.error();
    });
}

cs_error_t cpg_mcast_joined(cpg_handle_t handle, cpg_guarantee_t guarantee,
                            const struct iovec* iovec, unsigned int iov_len) {
    return with_instance(handle, [&](CpgInstance& instance) {
        if (iovec == nullptr && iov_len > 0) return CS_ERR_INVALID_PARAM;
        return instance.mcast(guarantee == CPG_TYPE_SAFE, std::span(iovec, iov_len));
    });
}

cs_error_t cpg_membership_get(cpg_handle_t handle, struct cpg_name* groupName,
                              struct cpg_address* member_list, int* member_list_entries) {
    return with_live_instance(handle, [&](CpgInstance& instance) {
        const auto name = name_in(groupName);
        if (!name) return name.error();
        if (member_list == nullptr || member_list_entries == nullptr) return CS_ERR_INVALID_PARAM;
        const auto members = instance.session().membership(*name);
        if (!members) return members.error();
        if (members->size() > CPG_MEMBERS_MAX) return CS_ERR_TOO_BIG;
        for (const auto& member : *members) {
            *member_list++ = {.nodeid = member.node.value(), .pid = member.pid, .reason = 0};
        }
        *member_list_entries = static_cast<int>(members->size());
        return CS_OK;
    });
}

cs_error_t cpg_local_get(cpg_handle_t handle, unsigned int* local_nodeid) {
    return with_live_instance(handle, [&](CpgInstance& instance) {
        if (local_nodeid == nullptr) return CS_ERR_INVALID_PARAM;
        *local_nodeid = instance.session().self().value();
        return CS_OK;
    });
}

cs_error_t cpg_flow_control_state_get(cpg_handle_t handle,
                                      cpg_flow_control_state_t* flow_control_enabled) {
    return with_instance(handle, [&](CpgInstance&) {
        if (flow_control_enabled == nullptr) return CS_ERR_INVALID_PARAM;
        *flow_control_enabled = CPG_FLOW_CONTROL_DISABLED;
        return CS_OK;
    });
}

cs_error_t cpg_zcb_alloc(cpg_handle_t handle, size_t size, void** buffer) {
    return with_live_instance(handle, [&](CpgInstance&) {
        if (buffer == nullptr) return CS_ERR_INVALID_PARAM;
        void* const memory = std::malloc(std::max<std::size_t>(size, 1));
        if (memory == nullptr) return CS_ERR_NO_MEMORY;
        *buffer = memory;
        return CS_OK;
    });
}

cs_error_t cpg_zcb_free(cpg_handle_t handle, void* buffer) {
    return with_instance(handle, [&](CpgInstance&) {
        std::free(buffer);
        return CS_OK;
    });
}

cs_error_t cpg_zcb_mcast_joined(cpg_handle_t handle, cpg_guarantee_t guarantee, void* msg,
                                size_t msg_len) {
    const iovec message{.iov_base = msg, .iov_len = msg_len};
    return cpg_mcast_joined(handle, guarantee, &message, 1);
}

cs_error_t cpg_iteration_initialize(cpg_handle_t handle, cpg_iteration_type_t iteration_type,
                                    const struct cpg_name* group,
                                    cpg_iteration_handle_t* cpg_iteration_handle) {
    return with_live_instance(handle, [&](CpgInstance& instance) {
        const bool one = iteration_type == CPG_ITERATION_ONE_GROUP;
        const bool names_only = iteration_type == CPG_ITERATION_NAME_ONLY;
        if (!one && !names_only && iteration_type != CPG_ITERATION_ALL) return CS_ERR_INVALID_PARAM;
        if (cpg_iteration_handle == nullptr || one != (group != nullptr)) {
            return CS_ERR_INVALID_PARAM;
        }
        std::optional<std::string> name;
        if (group != nullptr) {
            auto given = name_in(group);
            if (!given) return given.error();
            name = *std::move(given);
        }
        const auto groups = instance.session().groups(name);
        if (!groups) return groups.error();
        auto iteration = std::make_shared<Iteration>();
        iteration->owner = handle;
        iteration->entries = entries_of(*groups, names_only);
        *cpg_iteration_handle = handles.get()->iterations.add(std::move(iteration));
        return CS_OK;
    });
}

cs_error_t cpg_iteration_next(cpg_iteration_handle_t handle,
                              struct cpg_iteration_description_t* description) {
    auto* const all = handles.get();
    if (all == nullptr) return CS_ERR_BAD_HANDLE;
    return api_boundary([&] {
        const auto iteration = all->iterations.find(handle);
        if (iteration == nullptr) return CS_ERR_BAD_HANDLE;
        if (description == nullptr) return CS_ERR_INVALID_PARAM;
        const std::lock_guard lock(iteration->mutex);
        if (iteration->next == iteration->entries.size()) return CS_ERR_NO_SECTIONS;
        *description = iteration->entries[iteration->next++];
        return CS_OK;
    });
}

cs_error_t cpg_iteration_finalize(cpg_iteration_handle_t handle) {
    auto* const all = handles.get();
    if (all == nullptr) return CS_ERR_BAD_HANDLE;
    return api_boundary(
        [&] { return all->iterations.remove(handle) == nullptr ? CS_ERR_BAD_HANDLE : CS_OK; });
}
