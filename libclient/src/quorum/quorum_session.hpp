// One session with quorumd, for libquorum and libvotequorum: what is tracked, and the device that
// is registered, last over a restart of the daemon.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/protocol/quorum_api.hpp"
#include "libclient/src/service/session.hpp"

namespace client {

class QuorumSession {
  public:
    // Quorum or Votequorum.
    // `resume`: how long to wait for a daemon that is gone; nothing: as the environment says.
    static CsResult<std::unique_ptr<QuorumSession>> open(
        protocol::session::Service service,
        std::optional<std::chrono::milliseconds> resume = std::nullopt);

    [[nodiscard]] CsResult<int> event_fd() { return session_->event_fd(); }
    [[nodiscard]] bool is_alive() { return session_->is_alive(); }

    cs_error_t tell(const protocol::quorum::Request& request);
    CsResult<protocol::quorum::Answer> ask(const protocol::quorum::Request& request);

    cs_error_t track(const protocol::quorum::Track& track);
    cs_error_t stop_tracking();
    cs_error_t register_device(const std::string& name);
    cs_error_t unregister_device(const std::string& name);
    cs_error_t rename_device(const std::string& old_name, const std::string& new_name);

    // The daemon came back: an event without a callback, so that who was woken has one.
    using Event = std::variant<ServiceSession::Resumed, protocol::quorum::Answer>;
    cs_error_t next_event(Event& event, Wait wait);

    cs_error_t close() { return session_->close(); }

  private:
    QuorumSession() = default;
    std::vector<base::Buffer> subscriptions();

    std::mutex mutex_;
    std::optional<protocol::quorum::Track> tracked_;
    std::optional<std::string> device_;
    std::unique_ptr<ServiceSession> session_;
};

}  // namespace client
