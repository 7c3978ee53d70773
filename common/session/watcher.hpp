// A daemon's own session with another daemon of the node, inside its event loop: it says once what
// it wants to be told, and is told it, over restarts of both. Without that daemon it tries for
// ever.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/instant.hpp"
#include "common/os/event_loop.hpp"
#include "common/protocol/session_api.hpp"
#include "common/zmtp/connection.hpp"

namespace session {

class Watcher {
  public:
    struct Options {
        std::string path;
        protocol::session::Service service = protocol::session::Service::Cmap;
        base::Buffer subscription;  // The request that makes events come.
    };
    // Called in turns of the loop.
    struct Callbacks {
        // Events come from here on; the answer to the subscription.
        std::function<void(const base::Buffer& answer)> subscribed;
        std::function<void(const base::Buffer& payload)> event;
        // Nothing is known until `subscribed` is called again.
        std::function<void()> lost;
    };

    Watcher(os::EventLoop& loop, Options options, Callbacks callbacks);
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    Watcher(Watcher&&) = delete;
    Watcher& operator=(Watcher&&) = delete;

    [[nodiscard]] bool is_subscribed() const { return is_subscribed_; }

  private:
    using Link = std::unique_ptr<zmtp::Connection>;

    void connect();
    void disconnect();
    bool open(Link& link, const protocol::session::ClientFrame& first);
    void close(Link& link);
    void read(Link& link);
    // False: it is no frame, or out of turn.
    bool on_frame(const Link& link, const protocol::session::DaemonFrame& frame);
    void write(Link& link);

    os::EventLoop& loop_;
    const Options options_;
    Callbacks callbacks_;
    Link control_;
    Link events_;
    bool is_subscribed_ = false;
    std::optional<base::Instant> connect_at_;
};

}  // namespace session
