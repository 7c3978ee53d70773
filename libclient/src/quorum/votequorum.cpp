// libvotequorum: the C interface.
#include "corosync/votequorum.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "libclient/src/base/api_boundary.hpp"
#include "libclient/src/base/dispatch.hpp"
#include "libclient/src/base/fork_guard.hpp"
#include "libclient/src/base/handle_table.hpp"
#include "libclient/src/quorum/quorum_session.hpp"

namespace {

namespace api = protocol::quorum;
using client::api_boundary;
using client::QuorumSession;

static_assert(VOTEQUORUM_QDEVICE_MAX_NAME_LEN == api::kDeviceNameMax + 1);

// What a votequorum_handle_t stands for.
struct Instance {
    std::unique_ptr<QuorumSession> session;
    votequorum_callbacks_t callbacks{};
    votequorum_handle_t handle = 0;
    std::atomic<void*> context = nullptr;
    std::atomic<bool> finalized = false;

    void run(const QuorumSession::Event& event) const {
        const auto* answer = std::get_if<api::Answer>(&event);
        if (answer == nullptr) return;
        if (const auto* quorum = std::get_if<api::QuorumEvent>(answer)) run(*quorum);
        if (const auto* nodelist = std::get_if<api::NodelistEvent>(answer)) run(*nodelist);
        if (const auto* expected = std::get_if<api::ExpectedVotesEvent>(answer)) run(*expected);
    }

  private:
    void run(const api::QuorumEvent& event) const {
        if (callbacks.votequorum_quorum_notify_fn == nullptr) return;
        std::vector<votequorum_node_t> nodes;
        for (const api::NodeAndState& node : event.nodes) {
            nodes.push_back(
                {.nodeid = node.node.value(), .state = static_cast<std::uint32_t>(node.state)});
        }
        callbacks.votequorum_quorum_notify_fn(handle, event.context, event.quorate ? 1 : 0,
                                              static_cast<std::uint32_t>(nodes.size()),
                                              nodes.data());
    }
    void run(const api::NodelistEvent& event) const {
        if (callbacks.votequorum_nodelist_notify_fn == nullptr) return;
        std::vector<std::uint32_t> members;
        for (const base::NodeId node : event.members) {
            members.push_back(node.value());
        }
        const votequorum_ring_id_t ring{.nodeid = event.ring.representative.value(),
                                        .seq = event.ring.seq};
        callbacks.votequorum_nodelist_notify_fn(handle, event.context, ring,
                                                static_cast<std::uint32_t>(members.size()),
                                                members.data());
    }
    void run(const api::ExpectedVotesEvent& event) const {
        if (callbacks.votequorum_expectedvotes_notify_fn == nullptr) return;
        callbacks.votequorum_expectedvotes_notify_fn(handle, event.context, event.votes);
    }
};

using Handles = client::HandleTable<Instance>;
const client::PerProcess<Handles> handles;

template <class Body>
cs_error_t with_instance(votequorum_handle_t handle, Body&& body) {
    auto* const all = handles.get();
    if (all == nullptr) return CS_ERR_BAD_HANDLE;
    return api_boundary([&] {
        const auto instance = all->find(handle);
        return instance == nullptr ? CS_ERR_BAD_HANDLE : body(*instance);
    });
}

// Nothing: no name at all, or one that is too long.
std::optional<std::string> device_name(const char* name) {
    if (name == nullptr) return std::nullopt;
    const std::size_t length = ::strnlen(name, VOTEQUORUM_QDEVICE_MAX_NAME_LEN);
    if (length == 0 || length == VOTEQUORUM_QDEVICE_MAX_NAME_LEN) return std::nullopt;
    return std::string(name, length);
}

// Runs `body` on the instance and the name of a device.
template <class Body>
cs_error_t with_device(votequorum_handle_t handle, const char* name, Body&& body) {
    return with_instance(handle, [&](Instance& instance) {
        const auto device = device_name(name);
        return device ? body(*instance.session, *device) : CS_ERR_INVALID_PARAM;
    });
}

votequorum_info info_of(const api::Info& told) {
    votequorum_info info{};
    info.node_id = told.node.value();
    info.node_state = static_cast<unsigned>(told.state);
    info.node_votes = told.votes;
    info.node_expected_votes = told.expected_votes;
    info.highest_expected = told.highest_expected;
    info.total_votes = told.total_votes;
    info.quorum = told.quorum;
    info.flags = told.flags;
    info.qdevice_votes = told.device_votes;
    const std::size_t length = std::min(told.device_name.size(), sizeof(info.qdevice_name) - 1);
    std::memcpy(static_cast<char*>(info.qdevice_name), told.device_name.data(), length);
    return info;
}

}  // namespace

cs_error_t votequorum_initialize(votequorum_handle_t* handle, votequorum_callbacks_t* callbacks) {
    if (handle == nullptr) return CS_ERR_INVALID_PARAM;
    auto* const all = handles.make();
    if (all == nullptr) return CS_ERR_NO_RESOURCES;
    return api_boundary([&] {
        auto session = QuorumSession::open(protocol::session::Service::Votequorum);
        if (!session) return session.error();
        const auto instance = std::make_shared<Instance>();
        instance->session = *std::move(session);
        if (callbacks != nullptr) instance->callbacks = *callbacks;
        instance->handle = all->add(instance);
        *handle = instance->handle;
        return CS_OK;
    });
}

cs_error_t votequorum_finalize(votequorum_handle_t handle) {
    auto* const all = handles.get();
    if (all == nullptr) return CS_ERR_BAD_HANDLE;
    return api_boundary([&] {
        const auto instance = all->remove(handle);
        if (instance == nullptr) return CS_ERR_BAD_HANDLE;
        instance->finalized = true;
        // A daemon that is gone has nothing to be told.
        (void)instance->session->close();
        return CS_OK;
    });
}

cs_error_t votequorum_dispatch(votequorum_handle_t handle, cs_dispatch_flags_t dispatch_types) {
    return with_instance(handle, [&](Instance& instance) {
        QuorumSession::Event event;
        return client::dispatch_events(
            dispatch_types, instance.finalized,
            [&](client::Wait wait) { return instance.session->next_event(event, wait); },
            [&] { instance.run(event); });
    });
}

cs_error_t votequorum_fd_get(votequorum_handle_t handle, int* fd) {
    return with_instance(handle, [&](Instance& instance) {
        if (fd == nullptr) return CS_ERR_INVALID_PARAM;
        return client::hand_out(instance.session->event_fd(), *fd);
    });
}

cs_error_t votequorum_getinfo(votequorum_handle_t handle, unsigned int nodeid,
                              struct votequorum_info* info) {
    return with_instance(handle, [&](Instance& instance) {
        if (info == nullptr) return CS_ERR_INVALID_PARAM;
        const auto answer = instance.session->ask(api::GetInfo{.node = base::NodeId{nodeid}});
        if (!answer) return answer.error();
        const auto* told = std::get_if<api::Info>(&*answer);
        if (told == nullptr) return CS_ERR_LIBRARY;
        *info = info_of(*told);
        return CS_OK;
    });
}

cs_error_t votequorum_setexpected(votequorum_handle_t handle, unsigned int expected_votes) {
    return with_instance(handle, [&](Instance& instance) {
        return instance.session->tell(api::SetExpected{.votes = expected_votes});
    });
}

cs_error_t votequorum_setvotes(votequorum_handle_t handle, unsigned int nodeid,
                               unsigned int votes) {
    return with_instance(handle, [&](Instance& instance) {
        return instance.session->tell(api::SetVotes{.node = base::NodeId{nodeid}, .votes = votes});
    });
}

cs_error_t votequorum_trackstart(votequorum_handle_t handle, uint64_t context, unsigned int flags) {
    return with_instance(handle, [&](Instance& instance) {
        return instance.session->track(
            {.context = context, .now = (flags & CS_TRACK_CHANGES_ONLY) == 0});
    });
}

cs_error_t votequorum_trackstop(votequorum_handle_t handle) {
    return with_instance(handle,
                         [](Instance& instance) { return instance.session->stop_tracking(); });
}

cs_error_t votequorum_context_get(votequorum_handle_t handle, void** context) {
    return with_instance(handle, [&](Instance& instance) {
        if (context == nullptr) return CS_ERR_INVALID_PARAM;
        *context = instance.context;
        return CS_OK;
    });
}

cs_error_t votequorum_context_set(votequorum_handle_t handle, void* context) {
    return with_instance(handle, [&](Instance& instance) {
        instance.context = context;
        return CS_OK;
    });
}

cs_error_t votequorum_qdevice_register(votequorum_handle_t handle, const char* name) {
    return with_device(handle, name, [](QuorumSession& session, const std::string& device) {
        return session.register_device(device);
    });
}

cs_error_t votequorum_qdevice_unregister(votequorum_handle_t handle, const char* name) {
    return with_device(handle, name, [](QuorumSession& session, const std::string& device) {
        return session.unregister_device(device);
    });
}

cs_error_t votequorum_qdevice_update(votequorum_handle_t handle, const char* oldname,
                                     const char* newname) {
    return with_device(handle, oldname, [&](QuorumSession& session, const std::string& device) {
        const auto renamed = device_name(newname);
        return renamed ? session.rename_device(device, *renamed) : CS_ERR_INVALID_PARAM;
    });
}

cs_error_t votequorum_qdevice_poll(votequorum_handle_t handle, const char* name,
                                   unsigned int cast_vote, votequorum_ring_id_t ring_id) {
    return with_device(handle, name, [&](QuorumSession& session, const std::string& device) {
        return session.tell(api::DevicePoll{
            .name = device,
            .casts = cast_vote != 0,
            .ring = {.seq = ring_id.seq, .representative = base::NodeId{ring_id.nodeid}}});
    });
}

cs_error_t votequorum_qdevice_master_wins(votequorum_handle_t handle, const char* name,
                                          unsigned int allow) {
    return with_device(handle, name, [&](QuorumSession& session, const std::string& device) {
        return session.tell(api::DeviceMasterWins{.name = device, .allowed = allow != 0});
    });
}
