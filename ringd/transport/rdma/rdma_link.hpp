// A link over an RDMA device: unreliable datagrams between the nodes' queue pairs, to each node or
// to a multicast group. Totem expects no more of a network, and nothing has to be torn down when a
// node dies. Where there is no device, or no more, it looks for one every second.
#pragma once

#include <memory>
#include <string>

#include "common/os/unique_fd.hpp"
#include "ringd/transport/rdma/context_use.hpp"
#include "ringd/transport/rdma/poll_budget.hpp"
#include "ringd/transport/rdma/remotes.hpp"
#include "ringd/transport/udp_socket.hpp"

namespace transport {

class RdmaLink final : public NetworkLink {
  public:
    // Without a device yet: start(), or the first deadline, looks for it.
    [[nodiscard]] static os::Result<std::unique_ptr<NetworkLink>> open(
        const RdmaLinkConfig& config);
    ~RdmaLink() override { close(); }
    RdmaLink(const RdmaLink&) = delete;
    RdmaLink& operator=(const RdmaLink&) = delete;

    [[nodiscard]] std::vector<int> descriptors() const override { return {events_.get()}; }
    void start(base::Instant now) override { open_device(now); }
    void set_peers(std::span<const SocketAddress> peers) override;
    void send(std::span<const Burst> bursts) override;
    [[nodiscard]] std::optional<std::uint64_t> held_from() override;
    void wait_for_sends() override;
    bool receive(std::size_t batches, const Take& take) override;
    void heard(const SocketAddress& peer, std::uint32_t endpoint) override;
    [[nodiscard]] base::Instant next_deadline() const override;
    void pass_deadline(base::Instant now) override;
    [[nodiscard]] bool is_usable() const override;
    [[nodiscard]] std::string problem() const override { return device_ ? "" : last_text_; }
    [[nodiscard]] std::optional<std::size_t> path_mtu(const SocketAddress& to) const override;
    [[nodiscard]] const SocketAddress* group() const override {
        return group_handle_ ? &*config_.group : nullptr;
    }
    [[nodiscard]] bool is_group_uncertain() const override { return true; }
    void add_counters(LinkCounters& counters) const override;
    [[nodiscard]] std::vector<LinkNotice> take_notices() override;

    // For tests, which break it.
    [[nodiscard]] const RdmaDevice* device() const { return device_.get(); }

  private:
    RdmaLink(const RdmaLinkConfig& config, os::UniqueFd events, os::UniqueFd again);

    os::Result<void> try_open();
    os::Result<verbs::Id> bound_id(std::uint16_t port);
    void close();
    void open_device(base::Instant now);
    [[nodiscard]] bool watch(int fd) const;
    void join_group();
    void leave_group();
    void take_events(base::Instant now);
    void take_side_packets(const Take& take);
    void handle(base::Instant now, const rdma_cm_event& event);
    void answer(rdma_cm_id* asking);
    std::size_t look(const Take& take);
    bool look_longer(const Take& take);
    void note(bool is_usable, std::string text);
    void note_change();
    void look_at_address();
    [[nodiscard]] std::string what_works() const;

    RdmaLinkConfig config_;
    os::UniqueFd events_;  // An epoll of all below, as those change with the device.
    os::UniqueFd again_;   // Readable while the queue may not be empty although no event is due.
    std::optional<UdpSocket> side_;

    verbs::EventChannel channel_;
    verbs::Id listener_;
    verbs::Id id_;
    std::unique_ptr<RdmaDevice> device_;
    std::unique_ptr<Remotes> remotes_;
    verbs::Handle group_handle_;
    std::uint32_t group_queue_pair_ = 0;
    std::uint32_t group_key_ = 0;
    bool is_joining_ = false;
    base::Instant join_at_{};

    std::vector<SocketAddress> peers_;
    base::Instant open_at_{};
    base::Instant look_at_port_{};
    PollBudget budget_;
    ContextUse context_;
    unsigned looks_without_address_ = 0;
    bool is_lost_ = false;     // The connection manager says that the address or device goes.
    bool is_removed_ = false;  // It is the device, and it does not come back.
    std::uint32_t looks_ = 0;
    bool has_more_ = false;
    bool was_usable_ = false;
    std::string last_text_;
    std::vector<LinkNotice> notices_;
    RdmaCounters counters_;
    LinkCounters link_counters_;
};

}  // namespace transport
