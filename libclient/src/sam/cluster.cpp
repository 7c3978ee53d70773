#include "libclient/src/sam/cluster.hpp"

#include <corosync/cmap.h>
#include <corosync/quorum.h>

#include <chrono>
#include <string>

namespace sam {

QuorumWatch* QuorumWatch::watching_ = nullptr;

QuorumWatch::~QuorumWatch() {
    close();
}

cs_error_t QuorumWatch::open() {
    quorum_callbacks_t callbacks{};
    callbacks.quorum_notify_fn = &QuorumWatch::on_change;
    std::uint32_t type = 0;
    if (const cs_error_t failed = quorum_initialize(&handle_, &callbacks, &type); failed != CS_OK)
        return failed;
    watching_ = this;
    int quorate = 0;
    int fd = -1;
    cs_error_t done = quorum_trackstart(handle_, CS_TRACK_CHANGES);
    if (done == CS_OK) done = quorum_getquorate(handle_, &quorate);
    if (done == CS_OK) done = quorum_fd_get(handle_, &fd);
    if (done != CS_OK) {
        (void)quorum_finalize(handle_);  // It did not work: there is nothing to keep.
        return done;
    }
    is_quorate_ = quorate != 0;
    fd_ = fd;
    return CS_OK;
}

void QuorumWatch::close() {
    if (is_open()) (void)quorum_finalize(handle_);  // The daemon may be gone.
    fd_ = -1;
    is_quorate_ = false;
}

void QuorumWatch::dispatch() {
    if (is_open() && quorum_dispatch(handle_, CS_DISPATCH_ALL) == CS_OK) return;
    close();
    (void)open();  // Else at the next call.
}

void QuorumWatch::on_change(std::uint64_t, std::uint32_t quorate, std::uint64_t, std::uint32_t,
                            std::uint32_t*) {
    watching_->is_quorate_ = quorate != 0;
}

StateKeys::~StateKeys() {
    if (is_open_) (void)cmap_finalize(handle_);  // The daemon may be gone.
}

cs_error_t StateKeys::open() {
    const cs_error_t done = cmap_initialize(&handle_);
    is_open_ = done == CS_OK;
    return done;
}

void StateKeys::begin(pid_t process, const char* recovery, std::uint64_t interval_ms) {
    if (!is_open_) return;
    remove();
    process_ = process;
    set("recovery", recovery);
    set("poll_period", interval_ms);
    set_healthy();
    set_state("stopped");
}

void StateKeys::set_state(const char* state) {
    if (process_ != 0) set("state", state);
}

void StateKeys::set_healthy() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
    if (process_ != 0) set("last_updated", static_cast<std::uint64_t>(ns));
}

void StateKeys::remove() {
    if (process_ == 0) return;
    for (const char* key : {"recovery", "poll_period", "last_updated", "state"}) {
        const std::string name = "resources.process." + std::to_string(process_) + "." + key;
        (void)cmap_delete(handle_, name.c_str());  // Gone is gone.
    }
    process_ = 0;
}

void StateKeys::set(const char* key, const char* value) {
    const std::string name = "resources.process." + std::to_string(process_) + "." + key;
    (void)cmap_set_string(handle_, name.c_str(), value);
}

void StateKeys::set(const char* key, std::uint64_t value) {
    const std::string name = "resources.process." + std::to_string(process_) + "." + key;
    (void)cmap_set_uint64(handle_, name.c_str(), value);
}

}  // namespace sam
