#include "ringd/transport/rdma/device.hpp"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "common/base/invariant.hpp"
#include "common/os/clock.hpp"
#include "ringd/transport/rdma/grh.hpp"

namespace transport {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kCacheLineBytes = 64;

// More than a visit of the token sends (192 KiB) in the smallest packets of a port.
constexpr std::size_t kSendsMax = 512;
// A token or a heartbeat with header and tag: copied into the list it needs no look at memory.
constexpr std::size_t kInlineBytes = 256;
// Asking for fewer completions saves work; asking for none would leave the queue full for ever.
constexpr std::uint64_t kSendsASignal = 16;

// Longer than a device that is busy with its queue takes; a visit of the token is not held longer.
constexpr base::Duration kWaitMax = std::chrono::milliseconds(10);

std::byte* pages(std::size_t bytes) {
    const std::size_t whole = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    void* memory = std::aligned_alloc(kPageBytes, whole);
    if (memory == nullptr) std::abort();  // As bad_alloc would: there is no going on.
    std::memset(memory, 0, whole);
    return static_cast<std::byte*>(memory);
}

std::string limit_text() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return "none";
    return std::to_string(limit.rlim_cur) + " bytes";
}

auto failed(const std::string& what) {
    return base::fail(os::Error{.what = what, .code = errno});
}

}  // namespace

void RdmaDevice::FreePages::operator()(std::byte* memory) const {
    std::free(memory);
}

os::Result<std::unique_ptr<RdmaDevice>> RdmaDevice::open(rdma_cm_id* id,
                                                         const RdmaLinkConfig& config) {
    std::unique_ptr<RdmaDevice> made(new RdmaDevice(id));
    if (auto done = made->set_up(config); !done) return base::fail(done.error());
    return made;
}

RdmaDevice::~RdmaDevice() {
    // Or the queue waits for it for ever.
    if (received_) ibv_ack_cq_events(received_.get(), events_to_acknowledge_);
}

std::string RdmaDevice::name() const {
    return std::string(ibv_get_device_name(id_->verbs->device)) + " port " +
           std::to_string(id_->port_num);
}

os::Result<void> RdmaDevice::set_up(const RdmaLinkConfig& config) {
    ibv_port_attr port{};
    ibv_device_attr device{};
    if (ibv_query_port(id_->verbs, id_->port_num, &port) != 0 ||
        ibv_query_device(id_->verbs, &device) != 0) {
        return failed("RDMA device " + name() + " does not tell its properties");
    }
    is_ethernet_ = port.link_layer == IBV_LINK_LAYER_ETHERNET;
    is_port_active_ = port.state == IBV_PORT_ACTIVE;
    datagram_bytes_ = std::size_t{128} << static_cast<unsigned>(port.active_mtu);
    if (datagram_bytes_ < kDatagramBytesMin) {
        return base::fail(os::Error{
            .what = "RDMA device " + name() + " carries datagrams of " +
                    std::to_string(datagram_bytes_) + " bytes and " +
                    std::to_string(kDatagramBytesMin) +
                    " are needed: raise the MTU of its interface to 1500 or more (4200 gives the "
                    "most)"});
    }
    slot_bytes_ =
        (kGrhBytes + datagram_bytes_ + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes;
    const auto work_max = static_cast<std::size_t>(std::min(device.max_qp_wr, device.max_cqe));
    receives_ = std::min(config.receives, work_max);
    sends_max_ = std::min(kSendsMax, work_max);
    if (auto done = register_memory(config); !done) return done;
    if (auto done = make_queues(); !done) return done;

    std::vector<std::uint64_t> slots(receives_);
    for (std::size_t i = 0; i < receives_; ++i) {
        slots[i] = i;
    }
    for (std::span<const std::uint64_t> rest(slots); !rest.empty();) {
        const auto some = rest.first(std::min(rest.size(), kBatch));
        if (!post_receives(some, nullptr))
            return failed("RDMA device " + name() + ": post receive");
        rest = rest.subspan(some.size());
    }
    return {};
}

os::Result<void> RdmaDevice::register_memory(const RdmaLinkConfig& config) {
    domain_.reset(ibv_alloc_pd(id_->verbs));
    if (!domain_) return failed("RDMA device " + name() + ": protection domain");
    receive_memory_.reset(pages(slot_bytes_ * receives_));
    receive_region_.reset(ibv_reg_mr(domain_.get(), receive_memory_.get(), slot_bytes_ * receives_,
                                     IBV_ACCESS_LOCAL_WRITE));
    const auto sending = config.memory->all();
    if (receive_region_) {
        // Only read by the device.
        send_region_.reset(ibv_reg_mr(domain_.get(), sending.data(), sending.size(), 0));
    }
    if (!receive_region_ || !send_region_) {
        const int reason = errno;
        const std::string bytes = std::to_string(slot_bytes_ * receives_ + sending.size());
        if (reason != ENOMEM && reason != EPERM && reason != EAGAIN) {
            return failed("RDMA device " + name() + ": cannot register " + bytes + " bytes");
        }
        return base::fail(
            os::Error{.what = "RDMA device " + name() + " needs " + bytes +
                              " bytes of locked memory and the limit is " + limit_text() +
                              ": raise LimitMEMLOCK of the service, or ulimit -l, to 64 MiB"});
    }
    return {};
}

os::Result<void> RdmaDevice::make_queues() {
    channel_.reset(ibv_create_comp_channel(id_->verbs));
    if (!channel_ || ::fcntl(channel_->fd, F_SETFL, O_NONBLOCK) != 0) {
        return failed("RDMA device " + name() + ": completion channel");
    }
    received_.reset(
        ibv_create_cq(id_->verbs, static_cast<int>(receives_), nullptr, channel_.get(), 0));
    sent_.reset(ibv_create_cq(id_->verbs, static_cast<int>(sends_max_), nullptr, nullptr, 0));
    if (!received_ || !sent_ || ibv_req_notify_cq(received_.get(), 0) != 0) {
        return failed("RDMA device " + name() + ": completion queues");
    }
    ibv_qp_init_attr wanted{};
    wanted.qp_type = IBV_QPT_UD;
    wanted.send_cq = sent_.get();
    wanted.recv_cq = received_.get();
    wanted.cap.max_send_wr = static_cast<std::uint32_t>(sends_max_);
    wanted.cap.max_recv_wr = static_cast<std::uint32_t>(receives_);
    wanted.cap.max_send_sge = 1;
    wanted.cap.max_recv_sge = 1;
    wanted.cap.max_inline_data = kInlineBytes;
    ibv_qp_init_attr got = wanted;
    if (rdma_create_qp(id_, domain_.get(), &got) != 0) {
        // A device without inline data is as good, and a little slower.
        got = wanted;
        got.cap.max_inline_data = 0;
        if (rdma_create_qp(id_, domain_.get(), &got) != 0) {
            return failed("RDMA device " + name() + ": datagram queue pair");
        }
    }
    pair_.reset(id_);
    inline_bytes_ = std::min<std::size_t>(got.cap.max_inline_data, kInlineBytes);
    return {};
}

void RdmaDevice::fail(const char* what, int error) {
    if (is_broken()) return;
    failure_ = what;
    if (error != 0) failure_ += std::string(": ") + std::strerror(error);
}

void RdmaDevice::fail(const ibv_wc& completion) {
    if (is_broken()) return;
    failure_ = std::string("its queue pair failed: ") + ibv_wc_status_str(completion.status);
}

std::size_t RdmaDevice::locked_bytes() const {
    return receive_region_->length + send_region_->length;
}

bool RdmaDevice::post_receives(std::span<const std::uint64_t> slots, RdmaCounters* counters) {
    std::array<ibv_recv_wr, kBatch> list{};
    std::array<ibv_sge, kBatch> pieces{};
    INVARIANT(!slots.empty() && slots.size() <= kBatch);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        pieces[i] = {.addr = reinterpret_cast<std::uintptr_t>(receive_memory_.get()) +
                             slots[i] * slot_bytes_,
                     .length = static_cast<std::uint32_t>(kGrhBytes + datagram_bytes_),
                     .lkey = receive_region_->lkey};
        list[i].wr_id = slots[i];
        list[i].sg_list = &pieces[i];
        list[i].num_sge = 1;
        list[i].next = i + 1 < slots.size() ? &list[i + 1] : nullptr;
    }
    ibv_recv_wr* refused = nullptr;
    if (const int error = ibv_post_recv(id_->qp, list.data(), &refused); error != 0) {
        errno = error;
        fail("cannot post receives", error);
        return false;
    }
    if (counters != nullptr) ++counters->doorbells_received;
    return true;
}

void RdmaDevice::add_send(const Target& to, std::span<const std::byte> packet, std::uint64_t begin,
                          RdmaCounters& counters, LinkCounters& link) {
    if (packet.size() > datagram_bytes_) {
        ++link.too_large;
        ++link.not_sent;
        return;
    }
    if (list_.size() == sends_max_ / 2) post_sends(counters, link);
    pieces_.push_back({.addr = reinterpret_cast<std::uintptr_t>(packet.data()),
                       .length = static_cast<std::uint32_t>(packet.size()),
                       .lkey = send_region_->lkey});
    begins_.push_back(begin);
    ibv_send_wr& request = list_.emplace_back();
    request.num_sge = 1;
    request.opcode = IBV_WR_SEND;
    request.wr.ud.ah = to.handle;
    request.wr.ud.remote_qpn = to.queue_pair;
    request.wr.ud.remote_qkey = to.key;
}

void RdmaDevice::post_sends(RdmaCounters& counters, LinkCounters& link) {
    if (list_.empty()) return;
    if (is_broken() || !wait_for_room(list_.size(), counters)) {
        link.not_sent += list_.size();
        clear_list();
        return;
    }
    for (std::size_t i = 0; i < list_.size(); ++i) {
        ibv_send_wr& request = list_[i];
        request.sg_list = &pieces_[i];
        request.next = i + 1 < list_.size() ? &list_[i + 1] : nullptr;
        request.wr_id = ++posted_;
        if (pieces_[i].length <= inline_bytes_) {
            request.send_flags |= IBV_SEND_INLINE;
            ++counters.sends_inline;
        } else {
            hold(begins_[i]);
        }
        // Not later, or a short queue is full of sends of which no completion comes.
        if (posted_ - signaled_ >= std::min<std::uint64_t>(kSendsASignal, sends_max_ / 4)) {
            request.send_flags |= IBV_SEND_SIGNALED;
            signaled_ = posted_;
        }
    }
    counters.sends += list_.size();
    ++counters.doorbells_sent;
    ibv_send_wr* refused = nullptr;
    if (const int error = ibv_post_send(id_->qp, list_.data(), &refused); error != 0) {
        // There is room, and no request is too large: the queue pair or its device is gone.
        fail("cannot post sends", error);
        link.not_sent += list_.size();
    }
    clear_list();
}

void RdmaDevice::clear_list() {
    list_.clear();
    pieces_.clear();
    begins_.clear();
}

// From `begin` on the send memory is read until the send that was posted last is done.
void RdmaDevice::hold(std::uint64_t begin) {
    if (!held_.empty() && held_.back().begin == begin) {
        held_.back().last_send = posted_;
        return;
    }
    if (!held_.empty() && held_.back().begin > begin) {
        // An older piece once more: all that came between is held as long.
        for (Held& held : held_) {
            held.begin = std::min(held.begin, begin);
        }
    }
    held_.push_back({.last_send = posted_, .begin = begin});
}

void RdmaDevice::poll_sends(RdmaCounters& counters) {
    std::array<ibv_wc, kBatch> completions;
    int got = 0;
    do {
        got = ibv_poll_cq(sent_.get(), static_cast<int>(completions.size()), completions.data());
        if (got < 0) fail("cannot read its completions", -got);
        for (int i = 0; i < got; ++i) {
            const ibv_wc& completion = completions[static_cast<std::size_t>(i)];
            ++counters.completions_sent;
            // A datagram has no far end that could refuse it: any error is of this queue pair,
            // which does nothing more.
            if (completion.status != IBV_WC_SUCCESS) fail(completion);
            done_ = std::max(done_, completion.wr_id);
        }
    } while (got == static_cast<int>(completions.size()));
    while (!held_.empty() && held_.front().last_send <= done_) {
        held_.pop_front();
    }
}

bool RdmaDevice::wait_for_room(std::size_t sends, RdmaCounters& counters) {
    const auto has_room = [&] { return posted_ - done_ + sends <= sends_max_; };
    if (has_room()) return true;
    poll_sends(counters);
    const base::Instant end = os::now() + kWaitMax;
    while (!has_room() && !is_broken() && os::now() < end) {
        poll_sends(counters);
    }
    return has_room() && !is_broken();
}

std::optional<std::uint64_t> RdmaDevice::held_from(RdmaCounters& counters) {
    poll_sends(counters);
    if (held_.empty()) return std::nullopt;
    return held_.front().begin;
}

void RdmaDevice::wait_for_sends(RdmaCounters& counters) {
    if (held_.empty()) return;
    const std::uint64_t before = done_;
    const base::Instant end = os::now() + kWaitMax;
    do {
        poll_sends(counters);
    } while (done_ == before && !is_broken() && os::now() < end);
}

std::size_t RdmaDevice::receive(RdmaCounters& counters,
                                const std::function<void(const Datagram&)>& take) {
    std::array<ibv_wc, kBatch> completions;
    const int got =
        ibv_poll_cq(received_.get(), static_cast<int>(completions.size()), completions.data());
    if (got < 0) fail("cannot read its completions", -got);
    if (got <= 0) return 0;
    std::array<std::uint64_t, kBatch> slots{};
    const auto count = static_cast<std::size_t>(got);
    counters.completions_received += count;
    for (std::size_t i = 0; i < count; ++i) {
        const ibv_wc& completion = completions[i];
        slots[i] = completion.wr_id;
        if (completion.status != IBV_WC_SUCCESS) {
            fail(completion);
            continue;
        }
        if (completion.byte_len < kGrhBytes || completion.byte_len > kGrhBytes + datagram_bytes_) {
            continue;
        }
        const std::span<const std::byte> slot(
            receive_memory_.get() + completion.wr_id * slot_bytes_, completion.byte_len);
        const bool has_grh = (completion.wc_flags & IBV_WC_GRH) != 0;
        take({.grh = has_grh ? slot.first(kGrhBytes) : std::span<const std::byte>{},
              .bytes = slot.subspan(kGrhBytes),
              .sender = completion.src_qp});
    }
    if (!is_broken()) (void)post_receives(std::span(slots).first(count), &counters);
    return count;
}

void RdmaDevice::rearm(RdmaCounters& counters) {
    ibv_cq* queue = nullptr;
    void* context = nullptr;
    while (ibv_get_cq_event(channel_.get(), &queue, &context) == 0) {
        ++counters.wakeups;
        ++events_to_acknowledge_;
    }
    // Acknowledging takes a lock: many at once.
    constexpr unsigned kAcknowledgeAt = 256;
    if (events_to_acknowledge_ >= kAcknowledgeAt) {
        ibv_ack_cq_events(received_.get(), events_to_acknowledge_);
        events_to_acknowledge_ = 0;
    }
    if (const int error = ibv_req_notify_cq(received_.get(), 0); error != 0) {
        fail("cannot ask for events", error);
    }
}

void RdmaDevice::take_async_events() {
    const int flags = ::fcntl(async_fd(), F_GETFL);
    if (flags < 0 || ::fcntl(async_fd(), F_SETFL, flags | O_NONBLOCK) != 0) return;
    ibv_async_event event{};
    while (ibv_get_async_event(id_->verbs, &event) == 0) {
        switch (event.event_type) {
            case IBV_EVENT_QP_FATAL:
            case IBV_EVENT_QP_REQ_ERR:
            case IBV_EVENT_QP_ACCESS_ERR:
                if (event.element.qp == id_->qp) fail("its queue pair failed");
                break;
            case IBV_EVENT_CQ_ERR:
                if (event.element.cq == received_.get() || event.element.cq == sent_.get()) {
                    fail("its completion queue failed");
                }
                break;
            case IBV_EVENT_DEVICE_FATAL:
                fail("it failed");
                break;
            default:
                // Of the port: what it is now is asked below, and a second later once more, as
                // another link on this device may have taken the event.
                break;
        }
        ibv_ack_async_event(&event);
    }
    look_at_port();
}

void RdmaDevice::look_at_port() {
    ibv_port_attr port{};
    if (ibv_query_port(id_->verbs, id_->port_num, &port) != 0) {
        fail("it does not answer", errno);
        return;
    }
    is_port_active_ = port.state == IBV_PORT_ACTIVE;
    // With another size of datagrams the buffers are of the wrong size, too.
    if (is_port_active_ && datagram_bytes_ != std::size_t{128}
                                                  << static_cast<unsigned>(port.active_mtu)) {
        fail("the size of its datagrams changed");
    }
}

}  // namespace transport
