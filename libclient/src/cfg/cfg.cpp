// libcfg: the C interface. Arguments are checked here; cmapd decides what they mean
// (common/protocol/cfg_api.hpp).
#include "corosync/cfg.h"

#include <arpa/inet.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/protocol/cfg_api.hpp"
#include "libclient/src/base/api_boundary.hpp"
#include "libclient/src/base/dispatch.hpp"
#include "libclient/src/base/fork_guard.hpp"
#include "libclient/src/base/handle_table.hpp"
#include "libclient/src/service/resume_time.hpp"
#include "libclient/src/service/session.hpp"

namespace {

using client::api_boundary;
using client::ServiceSession;
using namespace protocol::cfg;  // NOLINT: the frames' names are those of the functions.

static_assert(kLinksMax == CFG_MAX_LINKS);
static_assert(kAddressBytesMax < CFG_MAX_HOST_LEN);

class Instance {
  public:
    explicit Instance(const corosync_cfg_callbacks_t& callbacks) : callbacks_(callbacks) {}

    cs_error_t open() {
        auto session =
            ServiceSession::open({.socket = "cfg",
                                  .service = protocol::session::Service::Cfg,
                                  .resume = client::resume_time("HALO_CFG_RESUME_MS"),
                                  .subscriptions = [this] {
                                      std::vector<base::Buffer> lasting;
                                      if (tracks_) lasting.push_back(encode(Request(TrackStart{})));
                                      return lasting;
                                  }});
        if (!session) return session.error();
        session_ = std::move(*session);
        return CS_OK;
    }

    void set_handle(corosync_cfg_handle_t handle) { handle_ = handle; }
    [[nodiscard]] ServiceSession& session() { return *session_; }

    cs_error_t ask(const Request& request) {
        const auto reply = session_->call(encode(request));
        return reply ? CS_OK : reply.error();
    }

    // The answer as a `Wanted`, into `answer`.
    template <class Wanted>
    cs_error_t ask_for(const Request& request, Wanted& answer) {
        const auto reply = session_->call(encode(request));
        if (!reply) return reply.error();
        auto decoded = decode_reply(*reply);
        if (!decoded || !std::holds_alternative<Wanted>(*decoded)) return CS_ERR_LIBRARY;
        answer = std::get<Wanted>(std::move(*decoded));
        return CS_OK;
    }

    cs_error_t track(bool on) {
        if (!on && !tracks_) return CS_OK;
        const cs_error_t done = on ? ask(TrackStart{}) : ask(TrackStop{});
        if (done == CS_OK) tracks_ = on;
        return done;
    }

    cs_error_t dispatch(cs_dispatch_flags_t flags) {
        ServiceSession::Event event;
        return client::dispatch_events(
            flags, finalized_, [&](client::Wait wait) { return session_->next_event(event, wait); },
            [&] { run(event); });
    }

    cs_error_t finalize() {
        finalized_ = true;
        (void)session_->close();  // A daemon that is gone has nothing to be told.
        return CS_OK;
    }

  private:
    void run(const ServiceSession::Event& event) {
        const auto* bytes = std::get_if<base::Buffer>(&event);
        if (bytes == nullptr) return;  // Resumed: nothing was missed that the program knows of.
        const auto asked = decode_event(*bytes);
        const auto callback = callbacks_.corosync_cfg_shutdown_callback;
        if (!asked || callback == nullptr) return;
        callback(handle_, static_cast<corosync_cfg_shutdown_flags_t>(asked->kind));
    }

    const corosync_cfg_callbacks_t callbacks_;
    corosync_cfg_handle_t handle_ = 0;
    std::atomic<bool> tracks_ = false;
    std::atomic<bool> finalized_ = false;
    std::unique_ptr<ServiceSession> session_;
};

struct Handles {
    client::HandleTable<Instance> instances;
};
const client::PerProcess<Handles> handles;

// Runs `body` on what the handle stands for.
template <class Body>
cs_error_t with_instance(corosync_cfg_handle_t handle, Body&& body) {
    auto* const all = handles.get();
    if (all == nullptr) return CS_ERR_BAD_HANDLE;
    return api_boundary([&] {
        const auto instance = all->instances.find(handle);
        return instance == nullptr ? CS_ERR_BAD_HANDLE : body(*instance);
    });
}

// An array of texts that the program frees, text by text.
class TextArray {
  public:
    explicit TextArray(const std::vector<std::string>& texts)
        : texts_(static_cast<char**>(std::calloc(texts.size() + 1, sizeof(char*)))) {
        if (texts_ == nullptr) return;
        for (const std::string& text : texts) {
            texts_[count_] = ::strdup(text.c_str());
            if (texts_[count_] == nullptr) return;
            ++count_;
        }
        is_whole_ = true;
    }
    ~TextArray() {
        if (texts_ == nullptr) return;
        for (std::size_t i = 0; i < count_; ++i) {
            std::free(texts_[i]);
        }
        std::free(static_cast<void*>(texts_));
    }
    TextArray(const TextArray&) = delete;
    TextArray& operator=(const TextArray&) = delete;

    [[nodiscard]] bool is_whole() const { return is_whole_; }
    char** release() { return std::exchange(texts_, nullptr); }

  private:
    char** texts_;
    std::size_t count_ = 0;
    bool is_whole_ = false;
};

template <std::size_t Size>
void copy_text(char (&to)[Size], const std::string& text) {
    const std::size_t length = std::min(text.size(), Size - 1);
    std::memcpy(to, text.data(), length);
    to[length] = '\0';
}

corosync_cfg_node_status_v1 status_of(const NodeStatus& status) {
    corosync_cfg_node_status_v1 result{};
    result.version = CFG_NODE_STATUS_V1;
    result.nodeid = status.node.value();
    result.reachable = status.is_reachable ? 1 : 0;
    for (std::size_t i = 0; i < status.links.size(); ++i) {
        const NodeStatus::Link& link = status.links[i];
        corosync_knet_link_status_v1& out = result.link_status[i];
        out.enabled = link.is_enabled ? 1 : 0;
        out.connected = link.is_connected ? 1 : 0;
        out.mtu = link.mtu;
        copy_text(out.src_ipaddr, link.own_address);
        copy_text(out.dst_ipaddr, link.peer_address);
    }
    return result;
}

bool to_address(const std::string& text, corosync_cfg_node_address_t& out) {
    out = {};
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        out.address_length = sizeof(v4);
        std::memcpy(out.address, &v4, sizeof(v4));
        return true;
    }
    if (::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        out.address_length = sizeof(v6);
        std::memcpy(out.address, &v6, sizeof(v6));
        return true;
    }
    return false;
}

}  // namespace

cs_error_t corosync_cfg_initialize(corosync_cfg_handle_t* cfg_handle,
                                   const corosync_cfg_callbacks_t* cfg_callbacks) {
    if (cfg_handle == nullptr) return CS_ERR_INVALID_PARAM;
    auto* const all = handles.make();
    if (all == nullptr) return CS_ERR_NO_RESOURCES;
    return api_boundary([&] {
        const auto instance = std::make_shared<Instance>(
            cfg_callbacks == nullptr ? corosync_cfg_callbacks_t{} : *cfg_callbacks);
        if (const cs_error_t opened = instance->open(); opened != CS_OK) return opened;
        const corosync_cfg_handle_t added = all->instances.add(instance);
        instance->set_handle(added);
        *cfg_handle = added;
        return CS_OK;
    });
}

cs_error_t corosync_cfg_finalize(corosync_cfg_handle_t cfg_handle) {
    auto* const all = handles.get();
    if (all == nullptr) return CS_ERR_BAD_HANDLE;
    return api_boundary([&] {
        const auto instance = all->instances.remove(cfg_handle);
        return instance == nullptr ? CS_ERR_BAD_HANDLE : instance->finalize();
    });
}

cs_error_t corosync_cfg_fd_get(corosync_cfg_handle_t cfg_handle, int32_t* selection_fd) {
    return with_instance(cfg_handle, [&](Instance& instance) {
        if (selection_fd == nullptr) return CS_ERR_INVALID_PARAM;
        return client::hand_out(instance.session().event_fd(), *selection_fd);
    });
}

cs_error_t corosync_cfg_dispatch(corosync_cfg_handle_t cfg_handle,
                                 cs_dispatch_flags_t dispatch_flags) {
    return with_instance(cfg_handle,
                         [&](Instance& instance) { return instance.dispatch(dispatch_flags); });
}

cs_error_t corosync_cfg_ring_status_get(corosync_cfg_handle_t cfg_handle, char*** interface_names,
                                        char*** status, unsigned int* interface_count) {
    return with_instance(cfg_handle, [&](Instance& instance) {
        if (interface_names == nullptr || status == nullptr || interface_count == nullptr) {
            return CS_ERR_INVALID_PARAM;
        }
        RingStatus ring;
        const cs_error_t asked = instance.ask_for(RingStatusGet{}, ring);
        if (asked != CS_OK) return asked;
        std::vector<std::string> names;
        std::vector<std::string> states;
        for (const RingStatus::Link& link : ring.links) {
            names.push_back(std::to_string(link.number) + " " + link.address);
            states.push_back(link.status);
        }
        TextArray name_array(names);
        TextArray state_array(states);
        if (!name_array.is_whole() || !state_array.is_whole()) return CS_ERR_NO_MEMORY;
        *interface_names = name_array.release();
        *status = state_array.release();
        *interface_count = static_cast<unsigned int>(ring.links.size());
        return CS_OK;
    });
}

cs_error_t corosync_cfg_node_status_get(corosync_cfg_handle_t cfg_handle, unsigned int nodeid,
                                        corosync_cfg_node_status_version_t version,
                                        void* node_status) {
    return with_instance(cfg_handle, [&](Instance& instance) {
        if (node_status == nullptr || version != CFG_NODE_STATUS_V1) return CS_ERR_INVALID_PARAM;
        NodeStatus status;
        const cs_error_t asked =
            instance.ask_for(NodeStatusGet{.node = base::NodeId{nodeid}}, status);
        if (asked != CS_OK) return asked;
        const corosync_cfg_node_status_v1 result = status_of(status);
        std::memcpy(node_status, &result, sizeof(result));
        return CS_OK;
    });
}

cs_error_t corosync_cfg_kill_node(corosync_cfg_handle_t cfg_handle, unsigned int nodeid,
                                  const char* reason) {
    return with_instance(cfg_handle, [&](Instance& instance) {
        const std::string why = reason == nullptr ? "" : reason;
        if (why.size() > kReasonBytesMax) return CS_ERR_NAME_TOO_LONG;
        return instance.ask(Kill{.node = base::NodeId{nodeid}, .reason = why});
    });
}

cs_error_t corosync_cfg_trackstart(corosync_cfg_handle_t cfg_handle, uint8_t /*track_flags*/) {
    return with_instance(cfg_handle, [&](Instance& instance) { return instance.track(true); });
}

cs_error_t corosync_cfg_trackstop(corosync_cfg_handle_t cfg_handle) {
    return with_instance(cfg_handle, [&](Instance& instance) { return instance.track(false); });
}

cs_error_t corosync_cfg_try_shutdown(corosync_cfg_handle_t cfg_handle,
                                     corosync_cfg_shutdown_flags_t flags) {
    return with_instance(cfg_handle, [&](Instance& instance) {
        const auto kind = static_cast<unsigned>(flags);
        if (kind > COROSYNC_CFG_SHUTDOWN_FLAG_IMMEDIATE) return CS_ERR_INVALID_PARAM;
        return instance.ask(Shutdown{.kind = static_cast<ShutdownKind>(kind)});
    });
}

cs_error_t corosync_cfg_replyto_shutdown(corosync_cfg_handle_t cfg_handle,
                                         corosync_cfg_shutdown_reply_flags_t flags) {
    return with_instance(cfg_handle, [&](Instance& instance) {
        if (flags != COROSYNC_CFG_SHUTDOWN_FLAG_YES && flags != COROSYNC_CFG_SHUTDOWN_FLAG_NO) {
            return CS_ERR_INVALID_PARAM;
        }
        return instance.ask(ShutdownAnswer{.agrees = flags == COROSYNC_CFG_SHUTDOWN_FLAG_YES});
    });
}

cs_error_t corosync_cfg_get_node_addrs(corosync_cfg_handle_t cfg_handle, unsigned int nodeid,
                                       size_t max_addrs, int* num_addrs,
                                       corosync_cfg_node_address_t* addrs) {
    return with_instance(cfg_handle, [&](Instance& instance) {
        if (num_addrs == nullptr || (addrs == nullptr && max_addrs > 0)) {
            return CS_ERR_INVALID_PARAM;
        }
        NodeAddresses found;
        const cs_error_t asked =
            instance.ask_for(NodeAddressesGet{.node = base::NodeId{nodeid}}, found);
        if (asked != CS_OK) return asked;
        std::vector<corosync_cfg_node_address_t> result;
        for (const std::string& text : found.addresses) {
            corosync_cfg_node_address_t address;
            if (result.size() < max_addrs && to_address(text, address)) result.push_back(address);
        }
        std::ranges::copy(result, addrs);
        *num_addrs = static_cast<int>(result.size());
        return CS_OK;
    });
}

cs_error_t corosync_cfg_local_get(corosync_cfg_handle_t handle, unsigned int* local_nodeid) {
    return with_instance(handle, [&](Instance& instance) {
        if (local_nodeid == nullptr) return CS_ERR_INVALID_PARAM;
        if (!instance.session().is_alive()) return CS_ERR_LIBRARY;
        *local_nodeid = instance.session().self().value();
        return CS_OK;
    });
}

cs_error_t corosync_cfg_reload_config(corosync_cfg_handle_t handle) {
    return with_instance(handle, [](Instance& instance) { return instance.ask(Reload{}); });
}

cs_error_t corosync_cfg_reopen_log_files(corosync_cfg_handle_t handle) {
    return with_instance(handle, [](Instance& instance) { return instance.ask(ReopenLogs{}); });
}
