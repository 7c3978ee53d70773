// Where the peers' queue pairs are. A peer is asked at its configured address by the connection
// manager's datagram exchange (SIDR), and answered by whoever listens there: nothing that a packet
// says changes where we send. What a packet can do is be a reason to ask again.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/instant.hpp"
#include "ringd/transport/rdma/device.hpp"

namespace transport {

class Remotes {
  public:
    // `channel` outlives this; `self` is our address, with any port.
    Remotes(rdma_event_channel* channel, const SocketAddress& self)
        : channel_(channel), self_(self) {}

    // Those that stay keep what is known of them.
    void set(std::span<const SocketAddress> peers);

    // Nothing: it is not known yet, and will be asked for.
    [[nodiscard]] std::optional<RdmaDevice::Target> find(const SocketAddress& peer);
    // An authentic packet came from this queue pair of the peer's.
    void heard(const SocketAddress& peer, std::uint32_t queue_pair);

    // Asks those whose time has come. When to call it: due().
    void tick(base::Instant now, RdmaCounters& counters);
    [[nodiscard]] base::Instant due() const;

    // An event of the connection manager for an id of ours.
    void handle(base::Instant now, const rdma_cm_event& event, ibv_pd* domain);
    [[nodiscard]] bool owns(const rdma_cm_id* id) const;

  private:
    struct Remote {
        SocketAddress address;
        verbs::Handle handle;
        std::uint32_t queue_pair = 0;
        std::uint32_t key = 0;
        verbs::Id asking;
        base::Instant asked{};
        base::Instant ask_at{};    // Or not before.
        base::Duration backoff{};  // Grows while nobody answers.
        bool is_wanted = true;     // Ask at `ask_at`.
        bool is_heard = false;     // Since the last tick.
        std::uint32_t silent_ticks = 0;
    };
    void ask(base::Instant now, Remote& remote);
    static void failed(base::Instant now, Remote& remote);

    rdma_event_channel* channel_;
    SocketAddress self_;
    std::vector<std::unique_ptr<Remote>> remotes_;
    base::Instant next_silence_check_{};
};

}  // namespace transport
