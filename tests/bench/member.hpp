// A member of the benchmark's group, on nothing but libcpg's ABI: what it hears, by phase.
#pragma once

#include <corosync/cpg.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

inline std::int64_t now_ns() {
    return std::chrono::duration_cast<nanoseconds>(Clock::now().time_since_epoch()).count();
}

[[noreturn]] inline void give_up(const std::string& what, cs_error_t error) {
    std::fprintf(stderr, "cpg_bench: %s: error %d\n", what.c_str(), static_cast<int>(error));
    std::exit(1);
}

// In front of each message that has room for it; a shorter one is counted and no more.
struct Header {
    std::uint32_t phase = 0;
    std::uint32_t is_end = 0;
    std::uint64_t seq = 0;
    std::int64_t sent_ns = 0;
};

struct Phase {
    std::uint32_t number = 0;
    std::size_t ends = 0;
    std::uint64_t delivered = 0;
    std::uint64_t bytes = 0;
    std::uint64_t own_delivered = 0;
    std::uint64_t own_seq = 0;  // Of the last own message delivered, and one more.
    std::uint64_t out_of_order = 0;
    std::int64_t first_ns = 0;
    std::int64_t last_ns = 0;
    std::int64_t longest_gap_ns = 0;  // Between two deliveries.
    // Of each sender, by node and process: the seq that must come.
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> next_of;
    bool keeps_latency = false;
    std::vector<std::int64_t> own_latency;
    std::vector<std::int64_t> other_latency;
};

struct Member {
    cpg_handle_t handle = 0;
    cpg_name group{};
    int fd = -1;
    unsigned node = 0;
    std::uint32_t pid = static_cast<std::uint32_t>(getpid());
    Phase phase;

    std::size_t members = 0;  // Of the group.
    std::size_t ring = 0;     // Nodes of the ring.
    std::int64_t ring_since_ns = 0;
    std::uint64_t ring_changes = 0;
    std::size_t ring_smallest = SIZE_MAX;
    std::uint64_t group_changes = 0;

    std::uint64_t sent = 0;
    std::uint64_t refused = 0;
    cpg_guarantee_t guarantee = CPG_TYPE_AGREED;
    std::vector<std::byte> payload;

    void dispatch() const {
        const cs_error_t error = cpg_dispatch(handle, CS_DISPATCH_ALL);
        if (error != CS_OK && error != CS_ERR_TRY_AGAIN) give_up("dispatch", error);
    }

    void wait(nanoseconds at_most) const {
        pollfd what{fd, POLLIN, 0};
        const timespec time{static_cast<time_t>(at_most.count() / 1'000'000'000),
                            static_cast<long>(at_most.count() % 1'000'000'000)};
        (void)ppoll(&what, 1, &time, nullptr);
    }

    bool try_send(bool is_end, std::size_t size, std::int64_t stamp) {
        const Header header{phase.number, is_end ? 1u : 0u, sent, stamp};
        if (size >= sizeof header) std::memcpy(payload.data(), &header, sizeof header);
        iovec vector{payload.data(), size};
        const cs_error_t error = cpg_mcast_joined(handle, guarantee, &vector, 1);
        if (error == CS_OK) {
            sent += is_end ? 0 : 1;
            return true;
        }
        if (error != CS_ERR_TRY_AGAIN) give_up("send", error);
        ++refused;
        return false;
    }

    // Waits for room.
    void send(bool is_end, std::size_t size, std::int64_t stamp) {
        while (!try_send(is_end, size, stamp)) {
            wait(std::chrono::milliseconds(1));
            dispatch();
        }
    }
};

// The callbacks of libcpg carry no pointer that both calls of initialize could set.
inline Member member;

inline void on_message(cpg_handle_t handle, const cpg_name*, std::uint32_t node, std::uint32_t pid,
                       void* message, std::size_t size) {
    if (handle != member.handle) return;
    Phase& phase = member.phase;
    const std::int64_t now = now_ns();
    const bool is_own = node == member.node && pid == member.pid;
    if (size >= sizeof(Header)) {
        Header header;
        std::memcpy(&header, message, sizeof header);
        if (header.phase != phase.number) return;
        if (header.is_end != 0) {
            ++phase.ends;
            return;
        }
        std::uint64_t& next = phase.next_of[{node, pid}];
        phase.out_of_order += header.seq == next ? 0 : 1;
        next = header.seq + 1;
        if (is_own) phase.own_seq = next;
        if (phase.keeps_latency) {
            (is_own ? phase.own_latency : phase.other_latency).push_back(now - header.sent_ns);
        }
    }
    if (phase.delivered == 0) {
        phase.first_ns = now;
    } else if (now - phase.last_ns > phase.longest_gap_ns) {
        phase.longest_gap_ns = now - phase.last_ns;
    }
    phase.last_ns = now;
    ++phase.delivered;
    phase.bytes += size;
    phase.own_delivered += is_own ? 1 : 0;
}

inline void on_group(cpg_handle_t handle, const cpg_name*, const cpg_address*, std::size_t members,
                     const cpg_address*, std::size_t, const cpg_address*, std::size_t) {
    if (handle != member.handle) return;
    member.members = members;
    ++member.group_changes;
}

inline void on_ring(cpg_handle_t handle, cpg_ring_id, std::uint32_t members, const std::uint32_t*) {
    if (handle != member.handle || members == member.ring) return;
    member.ring = members;
    member.ring_since_ns = now_ns();
    ++member.ring_changes;
    if (members < member.ring_smallest) member.ring_smallest = members;
}

// Tries for a while: a daemon that has just started refuses.
inline cs_error_t initialize(cpg_handle_t& handle) {
    cpg_model_v1_data_t model{};
    model.model = CPG_MODEL_V1;
    model.cpg_deliver_fn = on_message;
    model.cpg_confchg_fn = on_group;
    model.cpg_totem_confchg_fn = on_ring;
    model.flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF;
    return cpg_model_initialize(&handle, CPG_MODEL_V1, reinterpret_cast<cpg_model_data_t*>(&model),
                                nullptr);
}

inline cpg_name name_of(const std::string& group) {
    cpg_name name{};
    name.length = static_cast<std::uint32_t>(group.size());
    std::memcpy(name.value, group.data(), group.size());
    return name;
}

inline void connect_and_join(const std::string& group) {
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    const auto patiently = [&](const char* what, auto call) {
        for (;;) {
            const cs_error_t error = call();
            if (error == CS_OK) return;
            if (Clock::now() > deadline) give_up(what, error);
            (void)poll(nullptr, 0, 20);
        }
    };
    patiently("initialize", [] { return initialize(member.handle); });
    patiently("local_get", [] { return cpg_local_get(member.handle, &member.node); });
    patiently("fd_get", [] { return cpg_fd_get(member.handle, &member.fd); });
    member.group = name_of(group);
    patiently("join", [] { return cpg_join(member.handle, &member.group); });
}

}  // namespace bench
