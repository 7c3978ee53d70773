// Asks the program's callback whether it is well, again and again, in a thread of its own.
#pragma once

#include <corosync/sam.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace sam {

class HealthThread {
  public:
    HealthThread() = default;
    ~HealthThread() { stop(); }
    HealthThread(const HealthThread&) = delete;
    HealthThread& operator=(const HealthThread&) = delete;

    // Calls `report` with what `callback` said, after each `interval`. False: no thread.
    bool start(sam_hc_callback_t callback, std::chrono::milliseconds interval,
               std::function<void(bool is_healthy)> report);
    // Waits for a callback that runs.
    void stop();

  private:
    std::thread thread_;
    std::mutex mutex_;
    std::condition_variable stopped_;
    bool is_stopping_ = false;
};

}  // namespace sam
