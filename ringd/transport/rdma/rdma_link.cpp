#include "ringd/transport/rdma/rdma_link.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include "common/os/clock.hpp"
#include "ringd/transport/rdma/grh.hpp"

namespace transport {
namespace {

constexpr base::Duration kOpenInterval = std::chrono::seconds(1);
constexpr base::Duration kPortInterval = std::chrono::seconds(1);
constexpr base::Duration kJoinInterval = std::chrono::milliseconds(500);
// A wake-up costs a few microseconds on hardware; looking for longer than a few of these is waste.
constexpr base::Duration kLookMax = std::chrono::microseconds(20);
// Strangers' requests in one turn.
constexpr int kEventsATurn = 64;
constexpr int kBacklog = 64;
// Between looks at what is no packet, while packets keep coming.
constexpr std::uint32_t kLooksABatch = 16;
constexpr std::size_t kSideBytes = std::size_t{64} << 10u;
constexpr std::size_t kNoticesMax = 8;

constexpr const char* kUseUdp =
    "; or take the link back to UDP (totem.transport, totem.interface.knet_transport)";

base::Duration look_max() {
    return std::thread::hardware_concurrency() > 1 ? kLookMax : base::Duration::zero();
}

}  // namespace

RdmaLink::RdmaLink(const RdmaLinkConfig& config, os::UniqueFd events, os::UniqueFd again)
    : config_(config), events_(std::move(events)), again_(std::move(again)), budget_(look_max()) {}

os::Result<std::unique_ptr<NetworkLink>> RdmaLink::open(const RdmaLinkConfig& config) {
    os::UniqueFd events(::epoll_create1(EPOLL_CLOEXEC));
    if (!events.is_open()) return os::last_error("epoll for RDMA");
    os::UniqueFd again(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!again.is_open()) return os::last_error("eventfd for RDMA");
    std::unique_ptr<RdmaLink> link(new RdmaLink(config, std::move(events), std::move(again)));
    if (!link->watch(link->again_.get())) return os::last_error("epoll for RDMA");
    // Obituaries come from a supervisor that has no device. Without the socket the death of a peer
    // is noticed by its silence.
    if (auto side = UdpSocket::open({.address = config.address,
                                     .multicast = std::nullopt,
                                     .dscp = 0,
                                     .buffer_bytes = kSideBytes})) {
        if (link->watch(side->fd())) link->side_ = std::move(*side);
    }
    return std::unique_ptr<NetworkLink>(std::move(link));
}

bool RdmaLink::watch(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    return ::epoll_ctl(events_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

// ---- The device comes and goes ----

os::Result<verbs::Id> RdmaLink::bound_id(std::uint16_t port) {
    rdma_cm_id* made = nullptr;
    if (rdma_create_id(channel_.get(), &made, nullptr, RDMA_PS_UDP) != 0) {
        return os::last_error("RDMA connection manager");
    }
    verbs::Id id(made);
    const SocketAddress address = config_.address.with_port(port);
    if (rdma_bind_addr(id.get(), const_cast<sockaddr*>(address.data())) != 0) {
        const int reason = errno;
        if (reason == ENODEV || reason == EADDRNOTAVAIL) {
            return base::fail(os::Error{
                .what = "no RDMA device has the address " + config_.address.text() +
                        ": load its driver, and see what `rdma link` and `ip address` show" +
                        kUseUdp});
        }
        return base::fail(os::Error{.what = "RDMA address " + address.text(), .code = reason});
    }
    if (id->verbs == nullptr) {
        return base::fail(os::Error{.what = "the address " + config_.address.text() +
                                            " belongs to no RDMA device in particular" + kUseUdp});
    }
    return id;
}

os::Result<void> RdmaLink::try_open() {
    channel_.reset(rdma_create_event_channel());
    if (!channel_ || ::fcntl(channel_->fd, F_SETFL, O_NONBLOCK) != 0 || !watch(channel_->fd)) {
        return base::fail(os::Error{
            .what = std::string("RDMA does not work on this host: load the kernel modules rdma_ucm "
                                "and of the device, let this user open /dev/infiniband/*") +
                    kUseUdp,
            .code = errno});
    }
    auto listener = bound_id(config_.address.port());
    if (!listener) return base::fail(listener.error());
    listener_ = std::move(*listener);
    auto id = bound_id(0);
    if (!id) return base::fail(id.error());
    id_ = std::move(*id);
    context_ = ContextUse(*id_->verbs);
    looks_without_address_ = 0;
    auto device = RdmaDevice::open(id_.get(), config_);
    if (!device) return base::fail(device.error());
    device_ = std::move(*device);
    if (rdma_listen(listener_.get(), kBacklog) != 0) return os::last_error("RDMA listen");
    if (!watch(device_->completion_fd()) || !watch(device_->async_fd())) {
        return os::last_error("epoll for RDMA");
    }
    remotes_ = std::make_unique<Remotes>(channel_.get(), config_.address);
    remotes_->set(peers_);
    ++counters_.queue_pairs;
    return {};
}

// In the order in which one needs the other. The last two close descriptors that the epoll then
// forgets.
void RdmaLink::close() {
    leave_group();
    remotes_.reset();
    if (device_) {
        // librdmacm keeps the device open, and with it this descriptor.
        (void)::epoll_ctl(events_.get(), EPOLL_CTL_DEL, device_->async_fd(), nullptr);
    }
    device_.reset();
    id_.reset();
    listener_.reset();
    channel_.reset();
    context_ = ContextUse();
    is_lost_ = false;
    is_removed_ = false;
}

void RdmaLink::open_device(base::Instant now) {
    close();
    open_at_ = now + kOpenInterval;
    if (const auto opened = try_open(); !opened) {
        const std::string reason = opened.error().text();
        close();
        note(false, reason);
        return;
    }
    look_at_port_ = now + kPortInterval;
    join_at_ = now;
    if (!device_->is_port_active()) note(false, "RDMA device " + device_->name() + ": port down");
}

bool RdmaLink::is_usable() const {
    return device_ != nullptr && !device_->is_broken() && device_->is_port_active();
}

void RdmaLink::set_peers(std::span<const SocketAddress> peers) {
    peers_.assign(peers.begin(), peers.end());
    if (remotes_) remotes_->set(peers_);
}

base::Instant RdmaLink::next_deadline() const {
    if (!device_) return open_at_;
    if (device_->is_broken() || is_lost_) return base::Instant{};
    base::Instant next = std::min(look_at_port_, remotes_->due());
    if (config_.group && !group_handle_ && !is_joining_) next = std::min(next, join_at_);
    return next;
}

void RdmaLink::pass_deadline(base::Instant now) {
    if (device_ && now >= look_at_port_) {
        look_at_port_ = now + kPortInterval;
        device_->look_at_port();
        look_at_address();
    }
    if (device_ && (device_->is_broken() || is_lost_)) {
        const std::string why = is_removed_ ? "it was removed"
                                : is_lost_  ? "its address moved"
                                            : device_->failure();
        note(false, "RDMA device " + device_->name() + ": " + why);
        ++counters_.device_losses;
        // One that fails at once, again and again, must not keep us busy.
        if (now >= open_at_) {
            open_device(now);
        } else {
            close();
        }
    } else if (!device_ && now >= open_at_) {
        open_device(now);
    }
    if (!device_) return;
    remotes_->tick(now, counters_);
    if (config_.group && !group_handle_ && !is_joining_ && now >= join_at_) join_group();
    note_change();
}

// An event tells only of an address that goes from one device of a bond to the other.
void RdmaLink::look_at_address() {
    const auto id = bound_id(0);
    if (id && (*id)->verbs == id_->verbs) {
        looks_without_address_ = 0;
    } else if (++looks_without_address_ > 1) {
        // Not at once: it may be the device that goes, and its event is under way.
        is_lost_ = true;
    }
}

// Of a queue pair that broke pass_deadline() tells, with what it does about it.
void RdmaLink::note_change() {
    if (!device_ || device_->is_broken() || is_usable() == was_usable_) return;
    note(is_usable(),
         is_usable() ? what_works() : "RDMA device " + device_->name() + ": port down");
}

std::string RdmaLink::what_works() const {
    std::string text =
        device_->name() + ", datagrams of " + std::to_string(device_->datagram_bytes()) + " bytes";
    if (device_->receives() < config_.receives) {
        text += ", only " + std::to_string(device_->receives()) + " receive buffers where " +
                std::to_string(config_.receives) + " are wanted: packets will be lost under load";
    }
    return text;
}

void RdmaLink::note(bool is_usable, std::string text) {
    was_usable_ = is_usable;
    if (text == last_text_ || notices_.size() == kNoticesMax) return;
    last_text_ = text;
    notices_.push_back({.link = config_.link, .is_usable = is_usable, .text = std::move(text)});
}

std::vector<LinkNotice> RdmaLink::take_notices() {
    return std::exchange(notices_, {});
}

// ---- The connection manager ----

void RdmaLink::join_group() {
    is_joining_ = true;
    if (rdma_join_multicast(id_.get(), const_cast<sockaddr*>(config_.group->data()), nullptr) !=
        0) {
        is_joining_ = false;
        join_at_ = os::now() + kJoinInterval;
    }
}

// A queue pair that is attached to a group cannot be given back, nor what it uses.
void RdmaLink::leave_group() {
    if (group_handle_ || is_joining_) {
        (void)rdma_leave_multicast(id_.get(), const_cast<sockaddr*>(config_.group->data()));
    }
    group_handle_.reset();
    is_joining_ = false;
}

void RdmaLink::take_events(base::Instant now) {
    for (int i = 0; i < kEventsATurn && channel_; ++i) {
        rdma_cm_event* event = nullptr;
        if (rdma_get_cm_event(channel_.get(), &event) != 0) break;
        // An id can't be given back while one of its events is not acknowledged, so that comes
        // first. What is pointed to from the copy is not used, but for the ids.
        const rdma_cm_event copy = *event;
        (void)rdma_ack_cm_event(event);
        handle(now, copy);
    }
    if (device_) device_->take_async_events();
    note_change();
}

void RdmaLink::handle(base::Instant now, const rdma_cm_event& event) {
    switch (event.event) {
        case RDMA_CM_EVENT_CONNECT_REQUEST:
            answer(event.id);
            return;
        case RDMA_CM_EVENT_DEVICE_REMOVAL:
            context_.set_removed();
            is_removed_ = true;
            is_lost_ = true;
            return;
        case RDMA_CM_EVENT_ADDR_CHANGE:
            is_lost_ = true;
            return;
        case RDMA_CM_EVENT_MULTICAST_JOIN: {
            if (event.id != id_.get() || !device_) return;
            is_joining_ = false;
            ibv_ah_attr attributes = event.param.ud.ah_attr;
            group_handle_.reset(ibv_create_ah(device_->domain(), &attributes));
            if (!group_handle_) {
                is_joining_ = true;
                leave_group();
            }
            group_queue_pair_ = event.param.ud.qp_num;
            group_key_ = event.param.ud.qkey;
            ++counters_.group_joins;
            join_at_ = now + kJoinInterval;
            return;
        }
        case RDMA_CM_EVENT_MULTICAST_ERROR:
            if (event.id != id_.get()) return;
            is_joining_ = true;  // Also what failed is left.
            leave_group();
            join_at_ = now + kJoinInterval;
            return;
        default:
            // Of a peer that is being asked; newer libraries know more events.
            if (device_ && remotes_) remotes_->handle(now, event, device_->domain());
            return;
    }
}

// Whoever asks is told our queue pair; what it sends there is judged by the secure channel.
void RdmaLink::answer(rdma_cm_id* asking) {
    const verbs::Id owner(asking);
    if (!device_) return;
    rdma_conn_param answer{};
    answer.qp_num = device_->queue_pair()->qp_num;
    // It asks again when the answer is lost.
    (void)rdma_accept(asking, &answer);
}

// ---- Packets ----

void RdmaLink::send(std::span<const Burst> bursts) {
    for (const Burst& burst : bursts) {
        if (!device_) {
            link_counters_.not_sent += segments_of(burst);
            continue;
        }
        RdmaDevice::Target to;
        if (group_handle_ && burst.to == &*config_.group) {
            to = {
                .handle = group_handle_.get(), .queue_pair = group_queue_pair_, .key = group_key_};
            counters_.sends_to_group += segments_of(burst);
        } else if (const auto peer = remotes_->find(*burst.to)) {
            to = *peer;
        } else {
            counters_.not_resolved += segments_of(burst);
            link_counters_.not_sent += segments_of(burst);
            continue;
        }
        const std::uint64_t begin = burst.end - burst.bytes.size();
        for (std::size_t at = 0; at < burst.bytes.size(); at += burst.segment_bytes) {
            const std::size_t length = std::min(burst.segment_bytes, burst.bytes.size() - at);
            device_->add_send(to, burst.bytes.subspan(at, length), begin, counters_,
                              link_counters_);
        }
    }
    if (device_) device_->post_sends(counters_, link_counters_);
}

std::optional<std::uint64_t> RdmaLink::held_from() {
    return device_ ? device_->held_from(counters_) : std::nullopt;
}

void RdmaLink::wait_for_sends() {
    if (device_) device_->wait_for_sends(counters_);
}

void RdmaLink::heard(const SocketAddress& peer, std::uint32_t endpoint) {
    if (remotes_) remotes_->heard(peer, endpoint);
}

std::size_t RdmaLink::look(const Take& take) {
    if (!device_ || device_->is_broken()) return 0;
    const std::uint32_t own = device_->queue_pair()->qp_num;
    return device_->receive(counters_, [&](const RdmaDevice::Datagram& datagram) {
        SocketAddress from;
        if (datagram.grh.size() == kGrhBytes) {
            from = source_of(datagram.grh.first<kGrhBytes>(), device_->is_ethernet());
        }
        const bool is_told = from.family() != AF_UNSPEC;
        if (datagram.sender == own && (!is_told || from.same_host(config_.address))) {
            ++counters_.echoes;
            return;
        }
        take({.from = from,
              .bytes = datagram.bytes,
              .segment_bytes = datagram.bytes.size(),
              .endpoint = datagram.sender});
    });
}

// Looks once more before going to sleep, for as long as that has paid of late.
bool RdmaLink::look_longer(const Take& take) {
    const base::Duration budget = budget_.next();
    if (budget == base::Duration::zero()) return false;
    ++counters_.spins;
    const base::Instant end = os::now() + budget;
    do {
        if (look(take) > 0) {
            ++counters_.spins_useful;
            budget_.came();
            return true;
        }
    } while (os::now() < end);
    budget_.did_not_come();
    return false;
}

bool RdmaLink::receive(std::size_t batches, const Take& take) {
    std::size_t got = 0;
    for (std::size_t batch = 0; batch < batches; ++batch) {
        const std::size_t some = look(take);
        got += some;
        if (some < RdmaDevice::kBatch) break;
    }
    // As long as packets come the completion channel's event is left where it is: the descriptor
    // stays readable, and no system call is needed.
    if (got > 0 && ++looks_ % kLooksABatch != 0) return true;

    std::array<epoll_event, 8> ready{};
    const int count = ::epoll_wait(events_.get(), ready.data(), static_cast<int>(ready.size()), 0);
    const base::Instant now = os::now();
    bool is_due = false;
    for (int i = 0; i < count; ++i) {
        const int fd = ready[static_cast<std::size_t>(i)].data.fd;
        if (side_ && fd == side_->fd()) {
            (void)side_->receive(1, take);
        } else if (fd == again_.get()) {
            std::uint64_t value = 0;
            // Not there is as good as taken.
            (void)!::read(again_.get(), &value, sizeof value);
            has_more_ = false;
        } else if (device_ && fd == device_->completion_fd()) {
            is_due = true;
        } else {
            take_events(now);
        }
    }
    if (got > 0) return true;
    if (!is_due || !device_) return false;
    if (look_longer(take)) return true;
    if (!device_ || device_->is_broken()) return false;
    device_->rearm(counters_);
    // What came between the last look and now has no event to come.
    if (look(take) == 0) return false;
    if (!has_more_) {
        const std::uint64_t one = 1;
        has_more_ = ::write(again_.get(), &one, sizeof one) == sizeof one;
    }
    return true;
}

std::optional<std::size_t> RdmaLink::path_mtu(const SocketAddress& to) const {
    if (!device_) return std::nullopt;
    // As an IP packet, which it is with RoCE, so that all links' sizes mean the same.
    return device_->datagram_bytes() + to.header_bytes();
}

void RdmaLink::add_counters(LinkCounters& counters) const {
    counters.not_sent += link_counters_.not_sent;
    counters.too_large += link_counters_.too_large;
    RdmaCounters own = counters_;
    if (!is_usable()) own.problem = last_text_;
    if (device_) {
        own.device = device_->name();
        own.packet_bytes = device_->datagram_bytes();
        own.receives = device_->receives();
        own.locked_bytes = device_->locked_bytes();
        counters.receive_buffer_bytes = device_->receives() * device_->datagram_bytes();
        counters.send_buffer_bytes = config_.memory->size();
    }
    counters.rdma = std::move(own);
}

}  // namespace transport
