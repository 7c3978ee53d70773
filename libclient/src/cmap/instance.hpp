// What a cmap_handle_t stands for: a client of cmapd and the program's callbacks.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "corosync/cmap.h"
#include "libclient/src/cmap/client.hpp"

namespace client {

class CmapInstance {
  public:
    explicit CmapInstance(std::unique_ptr<CmapClient> client) : client_(std::move(client)) {}

    // The number under which the program knows us; set before anybody else can find us.
    void set_handle(cmap_handle_t handle) { handle_ = handle; }

    [[nodiscard]] CmapClient& client() { return *client_; }
    [[nodiscard]] const void* context() const { return context_; }
    void set_context(const void* context) { context_ = context; }

    cs_error_t dispatch(cs_dispatch_flags_t flags);
    cs_error_t track(const std::string& key, std::int32_t type, cmap_notify_fn_t notify,
                     void* user_data, cmap_track_handle_t& handle);
    cs_error_t untrack(cmap_track_handle_t handle);
    void finalize();

  private:
    struct Tracker {
        cmap_notify_fn_t notify = nullptr;
        void* user_data = nullptr;
    };
    void run(const protocol::cmap::Changed& change);

    const std::unique_ptr<CmapClient> client_;
    cmap_handle_t handle_ = 0;
    std::atomic<const void*> context_ = nullptr;
    std::atomic<bool> finalized_ = false;

    std::mutex trackers_mutex_;
    std::map<cmap_track_handle_t, Tracker> trackers_;
    cmap_track_handle_t last_tracker_ = 0;
};

}  // namespace client
