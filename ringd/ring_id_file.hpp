// The durable ring id: what must survive a crash so that no ring id is ever used twice
// (Totem section 4.2; every member stores the id, or one beyond it, before it sends anything of the
// ring: ringd/totem/ring_id_reserve.hpp).
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "common/base/ids.hpp"
#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"

namespace ringd {

// What the file says: an id, nothing (no file: this node is new, or its state was lost), or an
// error that names the file (unreadable, or not what we wrote).
os::Result<std::optional<base::RingId>> load_ring_id(const std::filesystem::path& path);

// Replaces the file so that it holds `ring` even after a power loss: new file, fsync, rename, fsync
// of the folder. Blocks for as long as the disk does.
os::Result<void> store_ring_id(const std::filesystem::path& path, base::RingId ring);

// Where a node without a stored id starts: no ring before can have had a higher seq, since over the
// life of a cluster rings form less often than once a second, and nodes start (each of which may
// skip kRingsReserved) less often than once a minute. Fits 32 bits, which dlm needs.
base::RingId ring_id_without_file(std::uint64_t unix_seconds);

// Stores ring ids in a thread of its own, because fsync takes as long as the disk wants and the
// token does not wait. One id at a time is under way; a newer one replaces a waiting one.
class RingIdWriter {
  public:
    explicit RingIdWriter(std::filesystem::path path);
    RingIdWriter(const RingIdWriter&) = delete;
    RingIdWriter& operator=(const RingIdWriter&) = delete;
    RingIdWriter(RingIdWriter&&) = delete;
    RingIdWriter& operator=(RingIdWriter&&) = delete;
    ~RingIdWriter();

    struct Outcome {
        base::RingId ring{};
        os::Result<void> result;
    };

    void store(base::RingId ring);

    // Readable when outcomes are there.
    [[nodiscard]] int fd() const { return done_event_.get(); }
    // The oldest outcome that was not taken.
    [[nodiscard]] std::optional<Outcome> take();

  private:
    void run();

    std::filesystem::path path_;
    os::UniqueFd done_event_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::optional<base::RingId> wanted_;
    std::vector<Outcome> done_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace ringd
