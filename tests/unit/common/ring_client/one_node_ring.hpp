// ringd's stream on a real socket, for a node that is alone: what its services submit comes back at
// once, or when the test says so. Runs in turns of its own loop, as a process of its own would.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/log/log.hpp"
#include "common/os/event_loop.hpp"
#include "ringd/stream_server/stream_server.hpp"

class OneNodeRing {
  public:
    static constexpr base::NodeId kSelf{7};

    // `life`: of this ringd; a later one has a greater number.
    explicit OneNodeRing(const std::string& path, stream::SwitchConfig config = {},
                         std::uint64_t life = 1);
    OneNodeRing(const OneNodeRing&) = delete;
    OneNodeRing& operator=(const OneNodeRing&) = delete;
    OneNodeRing(OneNodeRing&&) = delete;
    OneNodeRing& operator=(OneNodeRing&&) = delete;
    ~OneNodeRing() = default;

    void turn();
    // While it holds, nothing gets its place in the order.
    void hold(bool holds) { holds_ = holds; }

    [[nodiscard]] stream::Status status() const { return server_->status(); }
    // Of ringd's area, with services that take items.
    [[nodiscard]] std::size_t lent_bytes() const { return server_->lent_bytes(); }

  private:
    void order();
    base::Buffer put_together(const base::Buffer& item);

    os::EventLoop loop_;
    logging::Log log_;
    std::unique_ptr<stream::StreamServer> server_;
    base::RingId ring_{};
    std::uint64_t last_seq_ = 0;
    bool holds_ = false;
};
