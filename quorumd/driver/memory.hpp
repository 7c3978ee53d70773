// What quorumd remembers: for its next life in memory of this machine's uptime, and what must
// outlive the machine on disk.
#pragma once

#include <optional>
#include <string>

#include "common/base/buffer.hpp"
#include "common/os/error.hpp"
#include "common/os/snapshot_file.hpp"

namespace quorumd {

class Memory {
  public:
    // `snapshots`: nothing when the run folder can't hold them; then each start is a fresh one.
    Memory(std::optional<os::SnapshotFile> snapshots, std::string durable_path);

    // What the last life of this boot left; nothing when there is none, or it can't be used.
    [[nodiscard]] std::optional<base::Buffer> load() const;
    [[nodiscard]] const char* refusal() const;
    os::Result<void> keep(const base::Buffer& snapshot);
    void lived();
    [[nodiscard]] bool can_keep() const { return snapshots_.has_value(); }

    // Empty: nothing was ever stored.
    [[nodiscard]] base::Buffer load_durable() const;
    os::Result<void> store_durable(const base::Buffer& durable) const;

  private:
    std::optional<os::SnapshotFile> snapshots_;
    std::string durable_path_;
    std::string boot_;  // Times in a snapshot are of one boot.
};

}  // namespace quorumd
