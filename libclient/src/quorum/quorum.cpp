// libquorum: the C interface.
#include "corosync/quorum.h"

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

std::vector<std::uint32_t> numbers_of(const std::vector<base::NodeId>& nodes) {
    std::vector<std::uint32_t> numbers;
    for (const base::NodeId node : nodes) {
        numbers.push_back(node.value());
    }
    return numbers;
}

std::uint32_t count_of(const std::vector<std::uint32_t>& list) {
    return static_cast<std::uint32_t>(list.size());
}

quorum_ring_id ring_of(const base::RingId& ring) {
    return {.nodeid = ring.representative.value(), .seq = ring.seq};
}

// What a quorum_handle_t stands for.
struct Instance {
    std::unique_ptr<QuorumSession> session;
    quorum_model_t model = QUORUM_MODEL_V0;
    quorum_notification_fn_t v0 = nullptr;
    quorum_v1_quorum_notification_fn_t v1_quorum = nullptr;
    quorum_v1_nodelist_notification_fn_t v1_nodelist = nullptr;
    quorum_handle_t handle = 0;
    std::atomic<const void*> context = nullptr;
    std::atomic<bool> finalized = false;

    // The next event of this handle. Those of model v0 know of no node lists: one that counted
    // would make a dispatch of one event return with nothing (corosync-quorumtool -m waits for
    // another library's event after each).
    cs_error_t take(QuorumSession::Event& event, client::Wait wait) const {
        for (;;) {
            const cs_error_t taken = session->next_event(event, wait);
            const auto* answer = std::get_if<api::Answer>(&event);
            const bool is_nodelist =
                answer != nullptr && std::holds_alternative<api::NodelistEvent>(*answer);
            if (taken != CS_OK || model != QUORUM_MODEL_V0 || !is_nodelist) return taken;
        }
    }

    void run(const QuorumSession::Event& event) const {
        const auto* answer = std::get_if<api::Answer>(&event);
        if (answer == nullptr) return;
        if (const auto* quorum = std::get_if<api::QuorumEvent>(answer)) run(*quorum);
        if (const auto* nodelist = std::get_if<api::NodelistEvent>(answer)) run(*nodelist);
    }

  private:
    void run(const api::QuorumEvent& event) const {
        std::vector<std::uint32_t> members;
        for (const api::NodeAndState& node : event.nodes) {
            if (node.state != api::NodeState::Dead) members.push_back(node.node.value());
        }
        const std::uint32_t quorate = event.quorate ? 1 : 0;
        if (v0 != nullptr) v0(handle, quorate, event.ring.seq, count_of(members), members.data());
        if (v1_quorum != nullptr)
            v1_quorum(handle, quorate, ring_of(event.ring), count_of(members), members.data());
    }
    void run(const api::NodelistEvent& event) const {
        if (v1_nodelist == nullptr) return;
        const auto members = numbers_of(event.members);
        const auto joined = numbers_of(event.joined);
        const auto left = numbers_of(event.left);
        v1_nodelist(handle, ring_of(event.ring), count_of(members), members.data(),
                    count_of(joined), joined.data(), count_of(left), left.data());
    }
};

using Handles = client::HandleTable<Instance>;
const client::PerProcess<Handles> handles;

template <class Body>
cs_error_t with_instance(quorum_handle_t handle, Body&& body) {
    auto* const all = handles.get();
    if (all == nullptr) return CS_ERR_BAD_HANDLE;
    return api_boundary([&] {
        const auto instance = all->find(handle);
        return instance == nullptr ? CS_ERR_BAD_HANDLE : body(*instance);
    });
}

client::CsResult<api::Quorate> quorate_of(QuorumSession& session) {
    const auto answer = session.ask(api::GetQuorate{});
    if (!answer) return base::fail(answer.error());
    const auto* quorate = std::get_if<api::Quorate>(&*answer);
    if (quorate == nullptr) return base::fail(CS_ERR_LIBRARY);
    return *quorate;
}

cs_error_t initialize(quorum_handle_t* handle, const std::shared_ptr<Instance>& instance,
                      std::uint32_t* type) {
    if (handle == nullptr || type == nullptr) return CS_ERR_INVALID_PARAM;
    auto* const all = handles.make();
    if (all == nullptr) return CS_ERR_NO_RESOURCES;
    auto session = QuorumSession::open(protocol::session::Service::Quorum);
    if (!session) return session.error();
    instance->session = *std::move(session);
    const auto quorate = quorate_of(*instance->session);
    if (!quorate) return quorate.error();
    instance->handle = all->add(instance);
    *handle = instance->handle;
    *type = quorate->has_provider ? QUORUM_SET : QUORUM_FREE;
    return CS_OK;
}

}  // namespace

cs_error_t quorum_initialize(quorum_handle_t* handle, quorum_callbacks_t* callbacks,
                             uint32_t* quorum_type) {
    return api_boundary([&] {
        const auto instance = std::make_shared<Instance>();
        if (callbacks != nullptr) instance->v0 = callbacks->quorum_notify_fn;
        return initialize(handle, instance, quorum_type);
    });
}

cs_error_t quorum_model_initialize(quorum_handle_t* handle, quorum_model_t model,
                                   quorum_model_data_t* model_data, uint32_t* quorum_type,
                                   void* context) {
    if (model != QUORUM_MODEL_V0 && model != QUORUM_MODEL_V1) return CS_ERR_INVALID_PARAM;
    return api_boundary([&] {
        const auto instance = std::make_shared<Instance>();
        instance->context = context;
        instance->model = model;
        if (model_data != nullptr && model == QUORUM_MODEL_V0) {
            quorum_model_v0_data_t data{};
            std::memcpy(&data, model_data, sizeof(data));
            instance->v0 = data.quorum_notify_fn;
        } else if (model_data != nullptr) {
            quorum_model_v1_data_t data{};
            std::memcpy(&data, model_data, sizeof(data));
            instance->v1_quorum = data.quorum_notify_fn;
            instance->v1_nodelist = data.nodelist_notify_fn;
        }
        return initialize(handle, instance, quorum_type);
    });
}

cs_error_t quorum_finalize(quorum_handle_t handle) {
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

cs_error_t quorum_fd_get(quorum_handle_t handle, int* fd) {
    return with_instance(handle, [&](Instance& instance) {
        if (fd == nullptr) return CS_ERR_INVALID_PARAM;
        return client::hand_out(instance.session->event_fd(), *fd);
    });
}

cs_error_t quorum_dispatch(quorum_handle_t handle, cs_dispatch_flags_t dispatch_types) {
    return with_instance(handle, [&](Instance& instance) {
        QuorumSession::Event event;
        return client::dispatch_events(
            dispatch_types, instance.finalized,
            [&](client::Wait wait) { return instance.take(event, wait); },
            [&] { instance.run(event); });
    });
}

cs_error_t quorum_getquorate(quorum_handle_t handle, int* quorate) {
    return with_instance(handle, [&](Instance& instance) {
        if (quorate == nullptr) return CS_ERR_INVALID_PARAM;
        const auto answer = quorate_of(*instance.session);
        if (!answer) return answer.error();
        *quorate = answer->quorate ? 1 : 0;
        return CS_OK;
    });
}

cs_error_t quorum_trackstart(quorum_handle_t handle, unsigned int flags) {
    return with_instance(handle, [&](Instance& instance) {
        return instance.session->track({.now = (flags & CS_TRACK_CHANGES_ONLY) == 0});
    });
}

cs_error_t quorum_trackstop(quorum_handle_t handle) {
    return with_instance(handle,
                         [](Instance& instance) { return instance.session->stop_tracking(); });
}

cs_error_t quorum_context_set(quorum_handle_t handle, const void* context) {
    return with_instance(handle, [&](Instance& instance) {
        instance.context = context;
        return CS_OK;
    });
}

cs_error_t quorum_context_get(quorum_handle_t handle, const void** context) {
    return with_instance(handle, [&](Instance& instance) {
        if (context == nullptr) return CS_ERR_INVALID_PARAM;
        *context = instance.context;
        return CS_OK;
    });
}
