#include "ringd/transport/udp_socket.hpp"

#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

#include "common/base/invariant.hpp"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace transport {
namespace {

constexpr std::size_t kMessages = 16;  // A system call; each may be a super-packet.
// As many are asked for after a call that brought fewer: what describes the others need not be
// written.
constexpr std::size_t kMessagesAtRest = 4;
constexpr std::size_t kMessageBytesMax = 65536;
constexpr int kTriesMax = 4;
constexpr int kWaitForRoomMs = 2;

os::Result<void> set(int fd, int level, int option, int value, const char* name) {
    if (::setsockopt(fd, level, option, &value, sizeof value) != 0) return os::last_error(name);
    return {};
}

// The larger of what a privileged and an ordinary process gets; the kernel doubles what it is
// asked for and tells the double.
std::size_t set_buffer(int fd, int forced, int ordinary, std::size_t bytes) {
    const int wanted = static_cast<int>(std::min<std::size_t>(bytes, 1u << 30u));
    if (!set(fd, SOL_SOCKET, forced, wanted, "force buffer")) {
        // What the kernel allows at least is in force anyway; the caller tells how much that is.
        (void)set(fd, SOL_SOCKET, ordinary, wanted, "buffer");
    }
    int got = 0;
    socklen_t length = sizeof got;
    (void)::getsockopt(fd, SOL_SOCKET, ordinary, &got, &length);
    return static_cast<std::size_t>(got) / 2;
}

struct alignas(cmsghdr) Control {
    std::array<std::byte, 128> bytes;
};

template <class T>
T control_value(const cmsghdr& header) {
    T value{};
    std::memcpy(&value, CMSG_DATA(&header), sizeof value);
    return value;
}

PathError::Kind kind_of(const sock_extended_err& error) {
    if (error.ee_errno == EMSGSIZE) return PathError::Kind::TooLarge;
    const bool port4 = error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_DEST_UNREACH &&
                       error.ee_code == ICMP_PORT_UNREACH;
    const bool port6 = error.ee_origin == SO_EE_ORIGIN_ICMP6 &&
                       error.ee_type == ICMP6_DST_UNREACH &&
                       error.ee_code == ICMP6_DST_UNREACH_NOPORT;
    if (port4 || port6) return PathError::Kind::PortUnreachable;
    if (error.ee_errno == EHOSTUNREACH || error.ee_errno == ENETUNREACH) {
        return PathError::Kind::HostUnreachable;
    }
    return PathError::Kind::Other;
}

}  // namespace

os::Result<UdpSocket> UdpSocket::open(const UdpSocketConfig& config) {
    os::UniqueFd fd(
        ::socket(config.address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.is_open()) return os::last_error("UDP socket");

    // A group's port is shared by all that join it on this host.
    const SocketAddress bind_to = config.multicast ? config.multicast->group : config.address;
    if (config.multicast) {
        if (auto done = set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"); !done) {
            return base::fail(done.error());
        }
    }
    // The address may come later, as with a link that is down while we start.
    (void)set(fd.get(), bind_to.is_ipv6() ? SOL_IPV6 : SOL_IP,
              bind_to.is_ipv6() ? IPV6_FREEBIND : IP_FREEBIND, 1, "FREEBIND");
    if (bind_to.is_ipv6()) {
        if (auto done = set(fd.get(), SOL_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"); !done) {
            return base::fail(done.error());
        }
    }
    if (::bind(fd.get(), bind_to.data(), bind_to.size()) != 0) {
        return os::last_error("bind " + bind_to.text());
    }
    return adopt(std::move(fd), config);
}

std::optional<SocketAddress> UdpSocket::address_of(int fd) {
    int type = 0;
    socklen_t length = sizeof type;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_DGRAM) {
        return std::nullopt;
    }
    sockaddr_storage name{};
    length = sizeof name;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return std::nullopt;
    return SocketAddress::from(name);
}

os::Result<UdpSocket> UdpSocket::adopt(os::UniqueFd bound, const UdpSocketConfig& config) {
    UdpSocket socket(std::move(bound));
    const auto address = address_of(socket.fd());
    if (!address) return base::fail(os::Error{.what = "socket is neither IPv4 nor IPv6"});
    socket.address_ = *address;
    if (auto done = socket.set_options(config); !done) return base::fail(done.error());
    return socket;
}

os::Result<void> UdpSocket::set_options(const UdpSocketConfig& config) {
    const bool v6 = address_.is_ipv6();
    const int level = v6 ? SOL_IPV6 : SOL_IP;
    // DF on all packets, and EMSGSIZE from the kernel for what the path doesn't carry.
    if (auto done = set(fd(), level, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
                        v6 ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO, "MTU_DISCOVER");
        !done) {
        return done;
    }
    if (auto done = set(fd(), level, v6 ? IPV6_RECVERR : IP_RECVERR, 1, "RECVERR"); !done) {
        return done;
    }
    if (config.dscp != 0) {
        const int traffic_class = config.dscp << 2;
        if (auto done = set(fd(), level, v6 ? IPV6_TCLASS : IP_TOS, traffic_class, "DSCP"); !done) {
            return done;
        }
    }
    // Priority 6 needs no privilege; without it packets go out all the same.
    (void)set(fd(), SOL_SOCKET, SO_PRIORITY, 6, "SO_PRIORITY");
    // Without these two each packet is one message, which is slower and not wrong.
    (void)set(fd(), SOL_UDP, UDP_GRO, 1, "UDP_GRO");
    has_segmentation_ = set(fd(), SOL_UDP, UDP_SEGMENT, 0, "UDP_SEGMENT").has_value();
    (void)set(fd(), SOL_SOCKET, SO_RXQ_OVFL, 1, "SO_RXQ_OVFL");
    receive_buffer_bytes_ = set_buffer(fd(), SO_RCVBUFFORCE, SO_RCVBUF, config.buffer_bytes);
    send_buffer_bytes_ = set_buffer(fd(), SO_SNDBUFFORCE, SO_SNDBUF, config.buffer_bytes);
    receive_memory_.resize(kMessages * kMessageBytesMax);
    return config.multicast ? join(config) : os::Result<void>{};
}

os::Result<void> UdpSocket::send_to_groups(std::uint8_t ttl) {
    // Loop stays on: nodes may share a host, and what comes back to us is dropped by its header.
    if (address_.is_ipv6()) {
        const auto index = static_cast<int>(address_.ipv6().sin6_scope_id);
        if (auto done = set(fd(), SOL_IPV6, IPV6_MULTICAST_IF, index, "IPV6_MULTICAST_IF"); !done) {
            return done;
        }
        return set(fd(), SOL_IPV6, IPV6_MULTICAST_HOPS, ttl, "IPV6_MULTICAST_HOPS");
    }
    ip_mreqn request{};
    request.imr_address = address_.ipv4().sin_addr;
    if (::setsockopt(fd(), SOL_IP, IP_MULTICAST_IF, &request, sizeof request) != 0) {
        return os::last_error("IP_MULTICAST_IF " + address_.text());
    }
    return set(fd(), SOL_IP, IP_MULTICAST_TTL, ttl, "IP_MULTICAST_TTL");
}

os::Result<void> UdpSocket::join(const UdpSocketConfig& config) {
    const SocketAddress& group = config.multicast->group;
    if (group.is_ipv6()) {
        ipv6_mreq request{};
        request.ipv6mr_multiaddr = group.ipv6().sin6_addr;
        request.ipv6mr_interface = config.address.ipv6().sin6_scope_id;
        if (::setsockopt(fd(), SOL_IPV6, IPV6_JOIN_GROUP, &request, sizeof request) != 0) {
            return os::last_error("join " + group.text());
        }
        return {};
    }
    ip_mreqn request{};
    request.imr_multiaddr = group.ipv4().sin_addr;
    request.imr_address = config.address.ipv4().sin_addr;
    if (::setsockopt(fd(), SOL_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) != 0) {
        return os::last_error("join " + group.text() + " on " + config.address.text());
    }
    return {};
}

void UdpSocket::send(std::span<const Burst> bursts) {
    int tries = 0;
    while (!bursts.empty()) {
        const std::size_t sent = send_some(bursts);
        bursts = bursts.subspan(sent);
        if (sent > 0) {
            tries = 0;
            continue;
        }
        const int error = errno;
        const std::size_t segments = segments_of(bursts.front());
        if (segments > 1 && (error == EIO || error == EINVAL)) {
            // A device that can't checksum segments will never do; or this segment is above the
            // MTU, which the packets sent one by one tell as EMSGSIZE.
            if (error == EIO) has_segmentation_ = false;
            send_segments(bursts.front());
            bursts = bursts.subspan(1);
            continue;
        }
        const bool retry = error == EINTR || ++tries < kTriesMax;
        if (error == EAGAIN || error == ENOBUFS) {
            if (retry && wait_for_room()) continue;
        } else if (error == EMSGSIZE) {
            counters_.too_large += segments;
        } else if (retry && error != EINVAL && error != EPERM) {
            // ICMP's answer to an older packet, told at the next call: this packet was not sent.
            ++counters_.retries;
            continue;
        }
        counters_.not_sent += segments;
        bursts = bursts.subspan(1);
        tries = 0;
    }
}

bool UdpSocket::wait_for_room() {
    ++counters_.retries;
    pollfd wait{.fd = fd(), .events = POLLOUT, .revents = 0};
    return ::poll(&wait, 1, kWaitForRoomMs) >= 0;
}

// Gives how many bursts left; 0 with errno set if the first could not.
std::size_t UdpSocket::send_some(std::span<const Burst> bursts) {
    if (!has_segmentation_ && segments_of(bursts.front()) > 1) {
        send_segments(bursts.front());
        return 1;
    }
    // Only what is used is written: most calls send one to three.
    std::array<mmsghdr, kMessages> messages;
    std::array<iovec, kMessages> parts;
    struct alignas(cmsghdr) SegmentControl {
        std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> bytes;
    };
    std::array<SegmentControl, kMessages> controls;
    std::size_t count = 0;
    for (const Burst& burst : bursts.first(std::min(bursts.size(), kMessages))) {
        INVARIANT(burst.segment_bytes > 0 && burst.bytes.size() <= kBurstBytesMax);
        const std::size_t segments = segments_of(burst);
        INVARIANT(segments <= kSegmentsMax);
        if (segments > 1 && !has_segmentation_) break;
        parts[count] = {const_cast<std::byte*>(burst.bytes.data()), burst.bytes.size()};
        messages[count] = {};
        msghdr& header = messages[count].msg_hdr;
        header.msg_name = const_cast<sockaddr*>(burst.to->data());
        header.msg_namelen = burst.to->size();
        header.msg_iov = &parts[count];
        header.msg_iovlen = 1;
        if (segments > 1) {
            controls[count] = {};
            header.msg_control = &controls[count];
            header.msg_controllen = sizeof controls[count];
            cmsghdr* control = CMSG_FIRSTHDR(&header);
            control->cmsg_level = SOL_UDP;
            control->cmsg_type = UDP_SEGMENT;
            control->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
            const auto segment = static_cast<std::uint16_t>(burst.segment_bytes);
            std::memcpy(CMSG_DATA(control), &segment, sizeof segment);
        }
        ++count;
    }
    ++counters_.system_calls_sent;
    const int sent = ::sendmmsg(fd(), messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

// The way of a kernel without UDP_SEGMENT: the packets of a burst as messages of their own.
void UdpSocket::send_segments(const Burst& burst) {
    std::vector<Burst> singles;
    for (std::size_t at = 0; at < burst.bytes.size(); at += burst.segment_bytes) {
        const std::size_t length = std::min(burst.segment_bytes, burst.bytes.size() - at);
        singles.push_back({.to = burst.to,
                           .bytes = burst.bytes.subspan(at, length),
                           .segment_bytes = length,
                           .end = burst.end});
    }
    send(singles);
}

bool UdpSocket::receive(std::size_t batches, const Take& take) {
    for (std::size_t batch = 0; batch < batches; ++batch) {
        std::array<mmsghdr, kMessages> messages;
        std::array<iovec, kMessages> parts;
        std::array<sockaddr_storage, kMessages> names;
        std::array<Control, kMessages> controls;
        const std::size_t asked = is_busy_ ? kMessages : kMessagesAtRest;
        for (std::size_t i = 0; i < asked; ++i) {
            messages[i] = {};
            parts[i] = {receive_memory_.data() + i * kMessageBytesMax, kMessageBytesMax};
            msghdr& header = messages[i].msg_hdr;
            header.msg_name = &names[i];
            header.msg_namelen = sizeof names[i];
            header.msg_iov = &parts[i];
            header.msg_iovlen = 1;
            header.msg_control = &controls[i];
            header.msg_controllen = sizeof controls[i];
        }
        ++counters_.system_calls_received;
        const int got =
            ::recvmmsg(fd(), messages.data(), static_cast<unsigned>(asked), MSG_DONTWAIT, nullptr);
        is_busy_ = got >= static_cast<int>(kMessagesAtRest);
        // Nothing there, or an error that read_errors() tells: either way the next wait knows.
        if (got <= 0) return got < 0 && errno != EAGAIN;
        for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
            msghdr& header = messages[i].msg_hdr;
            const std::size_t length = messages[i].msg_len;
            const auto from = SocketAddress::from(names[i]);
            if (!from || length == 0 || (header.msg_flags & MSG_TRUNC) != 0) continue;
            std::size_t segment = length;
            for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
                 control = CMSG_NXTHDR(&header, control)) {
                if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
                    const int size = control_value<int>(*control);
                    if (size > 0) segment = static_cast<std::size_t>(size);
                } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
                    // Counts from the socket's making and wraps; the difference doesn't mind.
                    const auto drops = control_value<std::uint32_t>(*control);
                    counters_.receive_lost += drops - kernel_drops_;
                    kernel_drops_ = drops;
                }
            }
            take({.from = *from,
                  .bytes = std::span(receive_memory_).subspan(i * kMessageBytesMax, length),
                  .segment_bytes = segment,
                  .endpoint = 0});
        }
        if (static_cast<std::size_t>(got) < asked) return false;
    }
    return true;
}

void UdpSocket::read_errors(const std::function<void(const PathError&)>& take) {
    // An error each packet is the most that ICMP can give; the rest comes with the next call.
    for (int i = 0; i < 256; ++i) {
        std::array<std::byte, 64> quoted;
        iovec part{quoted.data(), quoted.size()};
        sockaddr_storage name{};
        struct alignas(cmsghdr) {
            std::array<std::byte, 512> bytes;
        } control_memory;
        msghdr header{};
        header.msg_name = &name;
        header.msg_namelen = sizeof name;
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = &control_memory;
        header.msg_controllen = sizeof control_memory;
        if (::recvmsg(fd(), &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
        const auto to = SocketAddress::from(name);
        if (!to) continue;
        for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
             control = CMSG_NXTHDR(&header, control)) {
            const bool is_error =
                (control->cmsg_level == SOL_IP && control->cmsg_type == IP_RECVERR) ||
                (control->cmsg_level == SOL_IPV6 && control->cmsg_type == IPV6_RECVERR);
            if (!is_error) continue;
            const auto error = control_value<sock_extended_err>(*control);
            take({.kind = kind_of(error), .to = *to, .mtu = error.ee_info});
        }
    }
}

std::optional<std::size_t> UdpSocket::path_mtu(const SocketAddress& to) const {
    // Only a connected socket tells; ours talks to everybody.
    const os::UniqueFd probe(::socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!probe.is_open()) return std::nullopt;
    const SocketAddress local = address_.is_multicast() ? SocketAddress{} : address_.with_port(0);
    if (local.family() == to.family()) {
        // Without the address (it is not there yet) the route alone decides, which is as good.
        (void)::bind(probe.get(), local.data(), local.size());
    }
    if (::connect(probe.get(), to.data(), to.size()) != 0) return std::nullopt;
    int mtu = 0;
    socklen_t length = sizeof mtu;
    const int level = to.is_ipv6() ? SOL_IPV6 : SOL_IP;
    if (::getsockopt(probe.get(), level, to.is_ipv6() ? IPV6_MTU : IP_MTU, &mtu, &length) != 0) {
        return std::nullopt;
    }
    return static_cast<std::size_t>(mtu);
}

}  // namespace transport
