// What is on its way to a daemon. A message each call, no delay when idle, one write for a burst,
// and nothing stuck when the application stops calling.
#pragma once

#include <sys/uio.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "libclient/src/ipc/connect.hpp"

namespace client {

// An idle sender writes at once, itself. Calls that follow each other closely are a burst: they
// only append, and a helper thread writes what has gathered, again and again until nothing is left.
// It exists from the first burst on, takes no signals and is the only writer while it is busy, so
// that order is kept. Messages here are ZMTP frames; whoever owns the outbox bounds what may be in
// it.
class Outbox {
  public:
    using Lock = std::unique_lock<std::mutex>;

    // `fd`: the number of a connected socket, which outlives this.
    explicit Outbox(int fd) : fd_(fd) {}
    ~Outbox() { stop(); }
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    // The order of calls under one lock is the order of the messages.
    [[nodiscard]] Lock lock() { return Lock(mutex_); }

    // In the place of a message's own head, when it has to wait: it shares one frame, of this head
    // and a protocol::cpg::MessageRun, with those that follow it here under the same key.
    struct Run {
        std::uint64_t key = 0;
        std::span<const std::byte> head;
    };

    // One message: `head`, then the `body_bytes` of all pieces of `body`, copied. With a `run` at
    // most protocol::cpg::kRunPayloadMax.
    void send(Lock& lock, std::span<const std::byte> head, std::span<const iovec> body,
              std::size_t body_bytes, const std::optional<Run>& run = std::nullopt);

    // A write failed, or interrupt() was called: the connection is gone and nothing is written.
    [[nodiscard]] bool is_broken(const Lock&) const { return broken_; }
    void set_broken(const Lock&) { broken_ = true; }
    // Drops what waits, and waits until the helper thread has let go of the socket, which must be
    // shut down.
    void interrupt(Lock& lock);
    // The socket behind the number is another one.
    void restart(const Lock&) {
        broken_ = false;
        if (helper_.joinable()) make_room();
    }
    // Nothing is waiting, in no thread.
    [[nodiscard]] bool is_idle(const Lock&) const { return pending_.empty() && !helper_busy_; }

    // Ends the helper thread. What it has not written is lost; shut the socket down before, or it
    // may wait for the peer.
    void stop();

  private:
    // Two calls in this time are a burst: less than waking another process takes, so the message
    // that goes to the helper thread is hardly later than by an own write.
    static constexpr std::chrono::microseconds kBurstGap{15};

    // The frame at the end of pending_ that is a run and takes more.
    struct OpenRun {
        std::uint64_t key = 0;
        std::size_t frame_at = 0;
        std::size_t run_at = 0;
        std::size_t messages = 0;
    };

    void append(std::span<const std::byte> head, std::span<const iovec> body, std::size_t offset);
    void append_to_run(const Run& run, std::span<const iovec> body, std::size_t body_bytes);
    [[nodiscard]] std::size_t write_now(std::span<const std::byte> head,
                                        std::span<const iovec> body);
    void wake_helper();
    // In the kernel, for bursts.
    void make_room() const;
    void run_helper();
    [[nodiscard]] bool write_all(std::span<const std::byte> bytes);

    int fd_;
    std::mutex mutex_;
    std::vector<std::byte> pending_;
    std::optional<OpenRun> open_run_;
    Clock::time_point last_send_{};
    bool helper_busy_ = false;
    bool stopping_ = false;
    bool broken_ = false;
    std::condition_variable work_;
    std::condition_variable idle_;
    std::thread helper_;
};

}  // namespace client
