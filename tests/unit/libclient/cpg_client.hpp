// A program's side of libcpg, for tests: what its callbacks saw, and waiting with an end.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "corosync/cpg.h"

// Long enough for a loaded machine: it only passes when a test fails.
inline constexpr int kDeadlineMs = 20'000;

inline cpg_name name_of(const std::string& text) {
    cpg_name name{};
    name.length = static_cast<std::uint32_t>(text.size());
    std::memcpy(name.value, text.data(), text.size());
    return name;
}

struct Seen {
    struct Confchg {
        std::vector<cpg_address> members;
        std::vector<cpg_address> left;
        std::vector<cpg_address> joined;
    };
    std::string group;
    std::vector<std::string> messages;
    std::vector<Confchg> confchgs;
    std::vector<cpg_ring_id> rings;
    std::vector<std::string> order;  // "confchg", "message", "ring".
    // Runs in each confchg callback.
    void (*in_confchg)(cpg_handle_t) = nullptr;
};

class CpgClient {
  public:
    // `flags` as in cpg_model_v1_data_t.
    explicit CpgClient(unsigned flags = 0) {
        cpg_model_v1_data_t data{};
        data.model = CPG_MODEL_V1;
        data.cpg_deliver_fn = deliver;
        data.cpg_confchg_fn = confchg;
        data.cpg_totem_confchg_fn = totem;
        data.flags = flags;
        // A daemon that does not get to run for two seconds gives CS_ERR_TRY_AGAIN.
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{kDeadlineMs};
        do {
            result = cpg_model_initialize(&handle, CPG_MODEL_V1,
                                          reinterpret_cast<cpg_model_data_t*>(&data), &seen);
        } while (result == CS_ERR_TRY_AGAIN && std::chrono::steady_clock::now() < end);
        if (result == CS_OK) (void)cpg_fd_get(handle, &fd);
    }
    ~CpgClient() { (void)cpg_finalize(handle); }
    CpgClient(const CpgClient&) = delete;
    CpgClient& operator=(const CpgClient&) = delete;

    cs_error_t join(const std::string& group) {
        const cpg_name name = name_of(group);
        return cpg_join(handle, &name);
    }
    cs_error_t leave(const std::string& group) {
        const cpg_name name = name_of(group);
        return cpg_leave(handle, &name);
    }
    cs_error_t send(const std::string& message) {
        iovec piece{.iov_base = const_cast<char*>(message.data()), .iov_len = message.size()};
        return cpg_mcast_joined(handle, CPG_TYPE_AGREED, &piece, 1);
    }

    // What poll() says within the time; 0: nothing.
    [[nodiscard]] short polled(int timeout_ms) const {
        pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
        return ::poll(&watched, 1, timeout_ms) > 0 ? watched.revents : short{0};
    }

    // Dispatches one event a wake-up, as Pacemaker does, until `done`; false: it took too long.
    template <class Done>
    bool dispatch_until(Done done) {
        while (!done()) {
            if (polled(kDeadlineMs) == 0) return false;
            if (cpg_dispatch(handle, CS_DISPATCH_ONE) != CS_OK) return false;
        }
        return true;
    }

    cpg_handle_t handle = 0;
    int fd = -1;
    cs_error_t result = CS_ERR_LIBRARY;
    Seen seen;

  private:
    static Seen& seen_by(cpg_handle_t handle) {
        void* context = nullptr;
        (void)cpg_context_get(handle, &context);
        return *static_cast<Seen*>(context);
    }
    static void deliver(cpg_handle_t handle, const cpg_name* group, std::uint32_t, std::uint32_t,
                        void* message, std::size_t size) {
        Seen& seen = seen_by(handle);
        seen.group.assign(group->value, group->length);
        seen.messages.emplace_back(static_cast<const char*>(message), size);
        seen.order.emplace_back("message");
    }
    static void confchg(cpg_handle_t handle, const cpg_name* group, const cpg_address* members,
                        std::size_t member_count, const cpg_address* left, std::size_t left_count,
                        const cpg_address* joined, std::size_t joined_count) {
        Seen& seen = seen_by(handle);
        seen.group.assign(group->value, group->length);
        seen.confchgs.push_back({.members = {members, members + member_count},
                                 .left = {left, left + left_count},
                                 .joined = {joined, joined + joined_count}});
        seen.order.emplace_back("confchg");
        if (seen.in_confchg != nullptr) seen.in_confchg(handle);
    }
    static void totem(cpg_handle_t handle, cpg_ring_id ring, std::uint32_t, const std::uint32_t*) {
        Seen& seen = seen_by(handle);
        seen.rings.push_back(ring);
        seen.order.emplace_back("ring");
    }
};
