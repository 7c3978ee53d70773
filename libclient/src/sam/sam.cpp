// The C interface: the worker's half, and what is the same in both processes.
#include <corosync/sam.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <memory>
#include <mutex>

#include "libclient/src/base/api_boundary.hpp"
#include "libclient/src/sam/health_thread.hpp"
#include "libclient/src/sam/supervisor.hpp"

namespace {

enum class State { None, Initialized, Registered, Started, Finalized };

struct Process {
    State state = State::None;
    sam::Settings settings;
    std::unique_ptr<sam::Supervisor> supervisor;  // Of the process that watches.
    os::UniqueFd socket;                          // To it, in the worker.
    std::mutex sending;                           // The thread reports while others command.
    sam_hc_callback_t callback = nullptr;
    sam::HealthThread health;
};

Process& process() {
    // Never destroyed: exit handlers of the program may still call us.
    static auto* const the_process = new Process;
    return *the_process;
}

bool is_live(State state) {
    return state == State::Initialized || state == State::Registered || state == State::Started;
}

bool is_registered(State state) {
    return state == State::Registered || state == State::Started;
}

// Says it to the supervisor and hears what that makes of it.
cs_error_t command(sam::Command what, std::uint64_t value = 0, const void* payload = nullptr) {
    Process& self = process();
    const std::lock_guard lock(self.sending);
    const sam::Message message{.command = what, .value = value};
    if (!sam::send_all(self.socket.get(), &message, sizeof(message))) return CS_ERR_LIBRARY;
    if (payload != nullptr && !sam::send_all(self.socket.get(), payload, value))
        return CS_ERR_LIBRARY;
    if (!sam::has_answer(what)) return CS_OK;
    std::uint32_t answer = 0;
    if (!sam::receive_all(self.socket.get(), &answer, sizeof(answer))) return CS_ERR_LIBRARY;
    return static_cast<cs_error_t>(answer);
}

void report(bool is_healthy) {
    // A supervisor that is gone hears nothing; the next command of the program says so.
    (void)command(is_healthy ? sam::Command::Healthy : sam::Command::Unhealthy);
}

}  // namespace

extern "C" {

cs_error_t sam_initialize(int time_interval, sam_recovery_policy_t recovery_policy) {
    return client::api_boundary([&]() -> cs_error_t {
        Process& self = process();
        if (self.state != State::None) return CS_ERR_BAD_HANDLE;
        const unsigned policy = static_cast<unsigned>(recovery_policy);
        const unsigned recovery =
            policy & ~(unsigned{SAM_RECOVERY_POLICY_QUORUM} | unsigned{SAM_RECOVERY_POLICY_CMAP});
        if (recovery != SAM_RECOVERY_POLICY_QUIT && recovery != SAM_RECOVERY_POLICY_RESTART)
            return CS_ERR_INVALID_PARAM;
        if (time_interval < 0) return CS_ERR_INVALID_PARAM;
        self.settings.interval = std::chrono::milliseconds(time_interval);
        self.settings.restarts = recovery == SAM_RECOVERY_POLICY_RESTART;
        self.settings.needs_quorum = (policy & SAM_RECOVERY_POLICY_QUORUM) != 0;
        self.settings.has_keys = (policy & SAM_RECOVERY_POLICY_CMAP) != 0;
        auto supervisor = std::make_unique<sam::Supervisor>(self.settings);
        if (const cs_error_t failed = supervisor->connect(); failed != CS_OK) return failed;
        self.supervisor = std::move(supervisor);
        self.state = State::Initialized;
        return CS_OK;
    });
}

cs_error_t sam_register(unsigned int* instance_id) {
    return client::api_boundary([&]() -> cs_error_t {
        Process& self = process();
        if (self.state != State::Initialized) return CS_ERR_BAD_HANDLE;
        auto socket = self.supervisor->run();
        if (!socket) return socket.error();
        self.socket = std::move(*socket);
        self.state = State::Registered;
        if (instance_id != nullptr) *instance_id = self.settings.life;
        return CS_OK;
    });
}

cs_error_t sam_start(void) {
    return client::api_boundary([]() -> cs_error_t {
        Process& self = process();
        if (self.state != State::Registered) return CS_ERR_BAD_HANDLE;
        if (const cs_error_t failed = command(sam::Command::Start); failed != CS_OK) return failed;
        self.state = State::Started;
        // Without an interval nobody waits for the answer of the callback.
        if (self.callback == nullptr || self.settings.interval.count() == 0) return CS_OK;
        const auto quarter = std::max(self.settings.interval / 4, std::chrono::milliseconds(1));
        return self.health.start(self.callback, quarter, report) ? CS_OK : CS_ERR_LIBRARY;
    });
}

cs_error_t sam_stop(void) {
    return client::api_boundary([]() -> cs_error_t {
        Process& self = process();
        if (self.state != State::Started) return CS_ERR_BAD_HANDLE;
        if (const cs_error_t failed = command(sam::Command::Stop); failed != CS_OK) return failed;
        self.health.stop();
        self.state = State::Registered;
        return CS_OK;
    });
}

cs_error_t sam_finalize(void) {
    return client::api_boundary([]() -> cs_error_t {
        Process& self = process();
        if (!is_live(self.state)) return CS_ERR_BAD_HANDLE;
        if (is_registered(self.state)) {
            if (const cs_error_t failed = command(sam::Command::Finalize); failed != CS_OK)
                return failed;
        }
        self.health.stop();
        self.settings.data.clear();
        self.state = State::Finalized;
        return CS_OK;
    });
}

cs_error_t sam_warn_signal_set(int warn_signal) {
    return client::api_boundary([&]() -> cs_error_t {
        Process& self = process();
        if (!is_live(self.state)) return CS_ERR_BAD_HANDLE;
        if (warn_signal <= 0 || warn_signal >= NSIG) return CS_ERR_INVALID_PARAM;
        self.settings.warn_signal = warn_signal;
        if (!is_registered(self.state)) return CS_OK;
        return command(sam::Command::WarnSignal, static_cast<std::uint64_t>(warn_signal));
    });
}

cs_error_t sam_hc_send(void) {
    return client::api_boundary([]() -> cs_error_t {
        if (process().state != State::Started) return CS_ERR_BAD_HANDLE;
        return command(sam::Command::Healthy);
    });
}

cs_error_t sam_hc_callback_register(sam_hc_callback_t cb) {
    return client::api_boundary([&]() -> cs_error_t {
        Process& self = process();
        if (self.state != State::Registered) return CS_ERR_BAD_HANDLE;
        self.callback = cb;
        return CS_OK;
    });
}

cs_error_t sam_data_store(const void* data, size_t size) {
    return client::api_boundary([&]() -> cs_error_t {
        Process& self = process();
        if (!is_live(self.state)) return CS_ERR_BAD_HANDLE;
        if (data == nullptr) size = 0;
        if (size > static_cast<std::size_t>(SSIZE_MAX)) return CS_ERR_NO_MEMORY;
        const auto* bytes = static_cast<const std::byte*>(data);
        std::vector<std::byte> copy(bytes, bytes + size);
        if (is_registered(self.state)) {
            const cs_error_t failed = command(sam::Command::StoreData, size, copy.data());
            if (failed != CS_OK) return failed;
        }
        self.settings.data = std::move(copy);
        return CS_OK;
    });
}

cs_error_t sam_data_getsize(size_t* size) {
    return client::api_boundary([&]() -> cs_error_t {
        const Process& self = process();
        if (size == nullptr) return CS_ERR_INVALID_PARAM;
        if (!is_live(self.state)) return CS_ERR_BAD_HANDLE;
        *size = self.settings.data.size();
        return CS_OK;
    });
}

cs_error_t sam_data_restore(void* data, size_t size) {
    return client::api_boundary([&]() -> cs_error_t {
        const Process& self = process();
        if (data == nullptr) return CS_ERR_INVALID_PARAM;
        if (!is_live(self.state)) return CS_ERR_BAD_HANDLE;
        const auto& stored = self.settings.data;
        if (size < stored.size()) return CS_ERR_INVALID_PARAM;
        if (!stored.empty()) std::memcpy(data, stored.data(), stored.size());
        return CS_OK;
    });
}

cs_error_t sam_mark_failed(void) {
    return client::api_boundary([]() -> cs_error_t {
        const Process& self = process();
        if (!is_registered(self.state)) return CS_ERR_BAD_HANDLE;
        if (!self.settings.has_keys) return CS_ERR_INVALID_PARAM;
        return command(sam::Command::MarkFailed);
    });
}

}  // extern "C"
