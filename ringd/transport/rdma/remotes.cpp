#include "ringd/transport/rdma/remotes.hpp"

#include <algorithm>
#include <bit>

namespace transport {
namespace {

using std::chrono::milliseconds;

constexpr int kResolveMs = 1000;
constexpr base::Duration kBackoffMin = milliseconds(100);
constexpr base::Duration kBackoffMax = milliseconds(2000);
constexpr base::Duration kTick = std::chrono::seconds(1);
// The kernel asks again after 4 s, and gives up after 61.
constexpr base::Duration kAskMax = std::chrono::seconds(3);

sockaddr* address_of(const SocketAddress& address) {
    // librdmacm's functions take it without const and do not write to it.
    return const_cast<sockaddr*>(address.data());
}

}  // namespace

void Remotes::set(std::span<const SocketAddress> peers) {
    std::vector<std::unique_ptr<Remote>> next;
    for (const SocketAddress& peer : peers) {
        const auto known = std::ranges::find_if(remotes_, [&](const auto& remote) {
            return remote != nullptr && remote->address == peer;
        });
        if (known != remotes_.end()) {
            next.push_back(std::move(*known));
        } else {
            next.push_back(std::make_unique<Remote>());
            next.back()->address = peer;
        }
    }
    remotes_ = std::move(next);
}

std::optional<RdmaDevice::Target> Remotes::find(const SocketAddress& peer) {
    const auto at =
        std::ranges::find_if(remotes_, [&](const auto& remote) { return remote->address == peer; });
    if (at == remotes_.end()) return std::nullopt;
    Remote& remote = **at;
    if (!remote.handle) {
        remote.is_wanted = true;
        return std::nullopt;
    }
    return RdmaDevice::Target{
        .handle = remote.handle.get(), .queue_pair = remote.queue_pair, .key = remote.key};
}

void Remotes::heard(const SocketAddress& peer, std::uint32_t queue_pair) {
    const auto at =
        std::ranges::find_if(remotes_, [&](const auto& remote) { return remote->address == peer; });
    if (at == remotes_.end()) return;
    Remote& remote = **at;
    remote.is_heard = true;
    // It has a new one: its process, or its device, is another.
    if (remote.queue_pair != queue_pair) remote.is_wanted = true;
}

base::Instant Remotes::due() const {
    base::Instant due = next_silence_check_;
    for (const auto& remote : remotes_) {
        if (remote->asking) {
            due = std::min(due, remote->asked + kAskMax);
        } else if (remote->is_wanted) {
            due = std::min(due, remote->ask_at);
        }
    }
    return due;
}

void Remotes::tick(base::Instant now, RdmaCounters& counters) {
    if (now >= next_silence_check_) {
        next_silence_check_ = now + kTick;
        for (const auto& remote : remotes_) {
            remote->silent_ticks = remote->is_heard ? 0 : remote->silent_ticks + 1;
            remote->is_heard = false;
            // Silent: it may have moved. Asked at 2, 4, 8, … seconds, as it may also just be dead.
            if (remote->silent_ticks >= 2 && std::has_single_bit(remote->silent_ticks)) {
                remote->is_wanted = true;
            }
        }
    }
    for (const auto& remote : remotes_) {
        if (remote->asking && now - remote->asked >= kAskMax) failed(now, *remote);
        if (!remote->is_wanted || remote->asking || remote->ask_at > now) continue;
        ++counters.resolutions;
        ask(now, *remote);
    }
}

void Remotes::ask(base::Instant now, Remote& remote) {
    rdma_cm_id* id = nullptr;
    if (rdma_create_id(channel_, &id, nullptr, RDMA_PS_UDP) != 0) {
        failed(now, remote);
        return;
    }
    remote.asking.reset(id);
    remote.asked = now;
    const SocketAddress from = self_.with_port(0);
    if (rdma_resolve_addr(id, address_of(from), address_of(remote.address), kResolveMs) != 0) {
        failed(now, remote);
    }
}

void Remotes::failed(base::Instant now, Remote& remote) {
    remote.asking.reset();
    remote.backoff = std::clamp(remote.backoff * 2, kBackoffMin, kBackoffMax);
    remote.ask_at = now + remote.backoff;
}

bool Remotes::owns(const rdma_cm_id* id) const {
    return std::ranges::any_of(remotes_,
                               [&](const auto& remote) { return remote->asking.get() == id; });
}

void Remotes::handle(base::Instant now, const rdma_cm_event& event, ibv_pd* domain) {
    const auto at = std::ranges::find_if(
        remotes_, [&](const auto& remote) { return remote->asking.get() == event.id; });
    if (at == remotes_.end()) return;
    Remote& remote = **at;
    if (event.event == RDMA_CM_EVENT_ADDR_RESOLVED) {
        if (rdma_resolve_route(event.id, kResolveMs) != 0) failed(now, remote);
        return;
    }
    if (event.event == RDMA_CM_EVENT_ROUTE_RESOLVED) {
        rdma_conn_param request{};
        if (rdma_connect(event.id, &request) != 0) failed(now, remote);
        return;
    }
    if (event.event != RDMA_CM_EVENT_ESTABLISHED || event.status != 0) {
        failed(now, remote);
        return;
    }
    ibv_ah_attr attributes = event.param.ud.ah_attr;
    verbs::Handle handle(ibv_create_ah(domain, &attributes));
    if (!handle) {
        failed(now, remote);
        return;
    }
    remote.handle = std::move(handle);
    remote.queue_pair = event.param.ud.qp_num;
    remote.key = event.param.ud.qkey;
    remote.asking.reset();
    remote.is_wanted = false;
    remote.backoff = {};
    remote.ask_at = now + kBackoffMin;  // However often it is heard from yet another one.
}

}  // namespace transport
