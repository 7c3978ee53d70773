// A real cmapd in a thread of its own, on a node without a ring: so that a test decides when it is
// killed and comes back.
#pragma once

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cmapd/driver/driver.hpp"
#include "common/base/invariant.hpp"
#include "tests/unit/common/zmtp/support.hpp"

class OneNodeCmapd {
  public:
    OneNodeCmapd() {
        INVARIANT(::setenv("HALO_RUN_DIR", folder_.file("").c_str(), 1) == 0);
        // A listener that outlives the daemon, as the service manager's.
        listening_ = std::move(*zmtp::Listener::listen(folder_.file("cmap"))).release();
        start(false);
    }
    ~OneNodeCmapd() { stop(); }
    OneNodeCmapd(const OneNodeCmapd&) = delete;
    OneNodeCmapd& operator=(const OneNodeCmapd&) = delete;
    OneNodeCmapd(OneNodeCmapd&&) = delete;
    OneNodeCmapd& operator=(OneNodeCmapd&&) = delete;

    // Nothing of the old life is told to it; its databases are closed as they are.
    void restart() {
        stop();
        start(true);
    }
    // As the end of the node.
    void die() {
        stop();
        listening_.reset();
        (void)::unlink(folder_.file("cmap").c_str());
    }
    // In the daemon's thread, waited for.
    void run(std::function<void(cmapd::Driver&)> work) {
        std::promise<void> done;
        {
            const std::lock_guard lock(mutex_);
            work_.push_back([&] {
                work(*driver_);
                done.set_value();
            });
        }
        wake();
        done.get_future().wait();
    }

  private:
    void wake() {
        const std::uint64_t one = 1;
        INVARIANT(::write(wake_.get(), &one, sizeof(one)) == sizeof(one));
    }
    void start(bool is_same_run) {
        is_stopping_ = false;
        wake_ = os::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        std::promise<void> served;
        thread_ = std::thread([this, is_same_run, &served] { serve(is_same_run, served); });
        served.get_future().wait();
    }
    void stop() {
        if (!thread_.joinable()) return;
        is_stopping_ = true;
        wake();
        thread_.join();
    }
    void serve(bool is_same_run, std::promise<void>& served) {
        auto loop = *os::EventLoop::create();
        auto store = cmapd::KeysStore::open({.run_path = folder_.file("cmapd.keys"),
                                             .state_path = folder_.file("keys.db"),
                                             .is_same_run = is_same_run},
                                            log_);
        INVARIANT(store.has_value());
        driver_ = std::make_unique<cmapd::Driver>(
            loop, log_,
            cmapd::Driver::Options{.ring_path = folder_.file("ring"),
                                   .access_path = folder_.file("access"),
                                   .access = {.own_uid = ::geteuid(), .uids = {}, .gids = {}},
                                   .nodes = 1,
                                   .self = base::NodeId{1}},
            *std::move(store));
        INVARIANT(driver_->sessions().listen(
            *zmtp::Listener::inherit(os::UniqueFd(::dup(listening_.get()))),
            session::Service::Cmap));
        INVARIANT(loop.add(wake_.get(), EPOLLIN, [this](std::uint32_t) {
            std::uint64_t count = 0;
            (void)!::read(wake_.get(), &count, sizeof(count));
            std::vector<std::function<void()>> work;
            {
                const std::lock_guard lock(mutex_);
                work.swap(work_);
            }
            for (const auto& each : work) {
                each();
            }
        }));
        driver_->serve();
        served.set_value();
        while (!is_stopping_) {
            INVARIANT(loop.turn(std::chrono::seconds{1}));
        }
        loop.remove(wake_.get());
        driver_.reset();
    }

    zmtp::test::TemporaryFolder folder_;
    logging::Log log_{"cmapd", {.journal = false, .to_stderr = false, .file = ""}};
    os::UniqueFd listening_;
    os::UniqueFd wake_;
    std::unique_ptr<cmapd::Driver> driver_;
    std::mutex mutex_;
    std::vector<std::function<void()>> work_;
    std::atomic<bool> is_stopping_ = false;
    std::thread thread_;
};
