// What the cluster has to do with a supervised process: its quorum, and the keys that show its
// state. Asked and told by the supervisor alone; without the policy both do nothing.
#pragma once

#include <corosync/corotypes.h>
#include <sys/types.h>

#include <cstdint>

#include "common/base/result.hpp"

namespace sam {

class QuorumWatch {
  public:
    QuorumWatch() = default;
    ~QuorumWatch();
    QuorumWatch(const QuorumWatch&) = delete;
    QuorumWatch& operator=(const QuorumWatch&) = delete;

    // Connects. Gives the error of libquorum.
    [[nodiscard]] cs_error_t open();
    // Readable when there may be news; -1: not open.
    [[nodiscard]] int fd() const { return fd_; }
    // Reads the news. A daemon that is gone is no quorum; it is tried again at each call.
    void dispatch();
    [[nodiscard]] bool is_open() const { return fd_ >= 0; }
    [[nodiscard]] bool is_quorate() const { return is_quorate_; }

  private:
    static void on_change(std::uint64_t handle, std::uint32_t quorate, std::uint64_t ring_seq,
                          std::uint32_t nodes, std::uint32_t* list);
    void close();

    std::uint64_t handle_ = 0;
    int fd_ = -1;
    bool is_quorate_ = false;
    static QuorumWatch* watching_;  // A process has one.
};

// resources.process.<pid>.*
class StateKeys {
  public:
    StateKeys() = default;
    ~StateKeys();
    StateKeys(const StateKeys&) = delete;
    StateKeys& operator=(const StateKeys&) = delete;

    // Gives the error of libcmap.
    [[nodiscard]] cs_error_t open();
    // Of a new worker, not started.
    void begin(pid_t process, const char* recovery, std::uint64_t interval_ms);
    // A key that can't be set is no reason to fail a process: whoever reads it sees it go stale.
    void set_state(const char* state);
    void set_healthy();
    // Removes what begin() made.
    void remove();

  private:
    void set(const char* key, const char* value);
    void set(const char* key, std::uint64_t value);

    std::uint64_t handle_ = 0;
    bool is_open_ = false;
    pid_t process_ = 0;  // 0: there are no keys.
};

}  // namespace sam
