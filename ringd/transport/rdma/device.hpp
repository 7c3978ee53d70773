// An open RDMA device as a link uses it: one unreliable-datagram queue pair, a block of receive
// buffers that is always posted, and the send memory registered. Lives from the address's being
// found on a device to the first error; then a new one is made.
//
// One completion queue for what comes, which wakes the loop, and one for what went, which nobody
// waits for: it is looked at when room is needed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/os/error.hpp"
#include "ringd/transport/rdma/verbs.hpp"
#include "ringd/transport/rdma_module.hpp"

namespace transport {

class RdmaDevice {
  public:
    // The smallest port that a ring works on: the least MTU of RoCE on Ethernet of 1500 bytes.
    static constexpr std::size_t kDatagramBytesMin = 1024;

    // `id` is bound to our address on the device and outlives this. Errors say what to do.
    [[nodiscard]] static os::Result<std::unique_ptr<RdmaDevice>> open(rdma_cm_id* id,
                                                                      const RdmaLinkConfig& config);
    RdmaDevice(const RdmaDevice&) = delete;
    RdmaDevice& operator=(const RdmaDevice&) = delete;
    ~RdmaDevice();

    // Where to: an address handle with the queue pair behind it.
    struct Target {
        ibv_ah* handle = nullptr;
        std::uint32_t queue_pair = 0;
        std::uint32_t key = 0;
    };
    // Appends to the list that post_sends() hands over. Small ones are copied into it; the memory
    // of others, a part of the piece that begins at `begin`, stays untouched until held_from() is
    // above that. Too large ones are counted and dropped: posting one would break the queue pair.
    void add_send(const Target& to, std::span<const std::byte> packet, std::uint64_t begin,
                  RdmaCounters& counters, LinkCounters& link);
    // One doorbell for the whole list. Waits a few milliseconds at most for room in the queue.
    void post_sends(RdmaCounters& counters, LinkCounters& link);
    // What is done with, looked up now.
    [[nodiscard]] std::optional<std::uint64_t> held_from(RdmaCounters& counters);
    void wait_for_sends(RdmaCounters& counters);

    struct Datagram {
        std::span<const std::byte> grh;  // Empty: the network has none.
        std::span<const std::byte> bytes;
        std::uint32_t sender = 0;  // Its queue pair.
    };
    // Calls `take` for up to kBatch datagrams and posts their buffers again, all at once. Gives how
    // many there were.
    static constexpr std::size_t kBatch = 32;
    std::size_t receive(RdmaCounters& counters, const std::function<void(const Datagram&)>& take);

    // Takes the events of the completion channel and asks for the next one. What came before that
    // has no event: look once more.
    void rearm(RdmaCounters& counters);
    [[nodiscard]] int completion_fd() const { return channel_->fd; }
    [[nodiscard]] int async_fd() const { return id_->verbs->async_fd; }

    // Takes what the device says unasked (port down, queue pair broken).
    void take_async_events();
    void look_at_port();

    [[nodiscard]] bool is_broken() const { return !failure_.empty(); }
    // What broke first; empty: nothing.
    [[nodiscard]] const std::string& failure() const { return failure_; }
    [[nodiscard]] bool is_port_active() const { return is_port_active_; }
    [[nodiscard]] bool is_ethernet() const { return is_ethernet_; }
    [[nodiscard]] std::size_t datagram_bytes() const { return datagram_bytes_; }
    [[nodiscard]] std::size_t locked_bytes() const;
    [[nodiscard]] std::size_t receives() const { return receives_; }
    [[nodiscard]] std::string name() const;
    [[nodiscard]] ibv_pd* domain() const { return domain_.get(); }
    // For tests, which break it.
    [[nodiscard]] ibv_qp* queue_pair() const { return id_->qp; }

  private:
    struct FreePages {
        void operator()(std::byte* memory) const;
    };
    // A burst in the send memory that the device may still read.
    struct Held {
        std::uint64_t last_send = 0;
        std::uint64_t begin = 0;
    };

    explicit RdmaDevice(rdma_cm_id* id) : id_(id) {}
    os::Result<void> set_up(const RdmaLinkConfig& config);
    os::Result<void> register_memory(const RdmaLinkConfig& config);
    os::Result<void> make_queues();
    bool post_receives(std::span<const std::uint64_t> slots, RdmaCounters* counters);
    void poll_sends(RdmaCounters& counters);
    bool wait_for_room(std::size_t sends, RdmaCounters& counters);
    void clear_list();
    void hold(std::uint64_t begin);
    void fail(const char* what, int error = 0);
    void fail(const ibv_wc& completion);

    rdma_cm_id* id_;
    std::size_t datagram_bytes_ = 0;
    std::size_t slot_bytes_ = 0;
    std::size_t receives_ = 0;
    std::size_t sends_max_ = 0;
    std::size_t inline_bytes_ = 0;
    bool is_ethernet_ = false;
    bool is_port_active_ = false;
    std::string failure_;

    std::unique_ptr<std::byte, FreePages> receive_memory_;
    verbs::Domain domain_;
    verbs::Region receive_region_;
    verbs::Region send_region_;
    verbs::Channel channel_;
    verbs::Queue received_;
    verbs::Queue sent_;
    verbs::Pair pair_;
    unsigned events_to_acknowledge_ = 0;

    std::vector<ibv_send_wr> list_;  // With pieces_ and begins_ of the same index.
    std::vector<ibv_sge> pieces_;
    std::vector<std::uint64_t> begins_;
    std::uint64_t posted_ = 0;    // Sends ever; the number of the last one.
    std::uint64_t done_ = 0;      // Of these, known to be done.
    std::uint64_t signaled_ = 0;  // The last one that asks for a completion.
    std::deque<Held> held_;
};

}  // namespace transport
