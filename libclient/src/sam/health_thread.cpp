#include "libclient/src/sam/health_thread.hpp"

#include <csignal>
#include <system_error>

namespace sam {
namespace {

// Signals are the program's: its own threads handle them.
class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all{};
        (void)::sigfillset(&all);  // Cannot fail, and neither can the next ones.
        (void)::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { (void)::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_{};
};

}  // namespace

bool HealthThread::start(sam_hc_callback_t callback, std::chrono::milliseconds interval,
                         std::function<void(bool is_healthy)> report) {
    stop();
    is_stopping_ = false;
    const SignalsBlocked blocked;
    try {
        thread_ = std::thread([this, callback, interval, report = std::move(report)] {
            std::unique_lock lock(mutex_);
            // First after an interval, as in Corosync: sam_start() has returned by then.
            while (!stopped_.wait_for(lock, interval, [this] { return is_stopping_; })) {
                lock.unlock();
                report(callback() == 0);
                lock.lock();
            }
        });
    } catch (const std::system_error&) {
        return false;
    }
    return true;
}

void HealthThread::stop() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    stopped_.notify_all();
    thread_.join();
}

}  // namespace sam
