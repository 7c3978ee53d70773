// Where a service keeps its state for the one that is started after it: a file in the run folder
// (memory), mapped. A process that is killed at any moment leaves a whole snapshot: a new one is
// written beside the last one, then one word says which counts. It does not outlive the machine,
// and need not: then the clients are gone too.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/base/buffer.hpp"
#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"

namespace os {

class SnapshotFile {
  public:
    // A state with which this many lives ended before they served anybody is not tried again.
    static constexpr std::uint32_t kStartsMax = 3;

    // Opens or makes the file, and counts this start. EWOULDBLOCK: another process has it.
    static os::Result<SnapshotFile> open(const std::string& path);
    SnapshotFile(SnapshotFile&& other) noexcept;
    SnapshotFile& operator=(SnapshotFile&&) = delete;
    SnapshotFile(const SnapshotFile&) = delete;
    SnapshotFile& operator=(const SnapshotFile&) = delete;
    ~SnapshotFile();

    // What the last life stored; nothing when there is none, or refusal() says why not.
    [[nodiscard]] std::optional<base::Buffer> load() const;

    // Why what a former life left is not used, for people; null when it is, or when none left any.
    [[nodiscard]] const char* refusal() const;

    // The pieces one after the other are the snapshot.
    os::Result<void> store(std::span<const base::Buffer> pieces);

    // This life has shown that it can live with its state: it has taken in all that came after it.
    void lived();

  private:
    SnapshotFile(os::UniqueFd file, std::byte* memory, std::size_t size)
        : file_(std::move(file)), memory_(memory), size_(size) {}
    os::Result<void> grow(std::size_t size);

    os::UniqueFd file_;
    std::byte* memory_ = nullptr;
    std::size_t size_ = 0;
    bool was_foreign_ = false;  // What open() found was nothing of ours, or damaged.
};

}  // namespace os
