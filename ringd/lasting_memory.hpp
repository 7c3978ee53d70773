// The memory that outlives ringd's process: the journal of its cores, and what its secure channel
// must not forget (docs/design/0004-resume.md). A memory file without a name; who starts ringd
// holds it open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"

namespace ringd {

class LastingMemory {
  public:
    // Of which only what is used takes memory: two checkpoints with the inputs after them.
    static constexpr std::size_t kJournalBytes = std::size_t{64} << 20u;

    // Zeros. Its size can't be changed any more.
    static os::Result<LastingMemory> create();
    // What another process left. Fails when it is not such a file.
    static os::Result<LastingMemory> adopt(os::UniqueFd file);
    ~LastingMemory();
    LastingMemory(LastingMemory&& other) noexcept;
    LastingMemory(const LastingMemory&) = delete;
    LastingMemory& operator=(const LastingMemory&) = delete;
    LastingMemory& operator=(LastingMemory&&) = delete;

    [[nodiscard]] int fd() const { return file_.get(); }

    // How often a process has gone on in this memory.
    [[nodiscard]] std::uint64_t& lives() const;
    [[nodiscard]] std::span<std::byte> channel() const;
    [[nodiscard]] std::span<std::byte> journal() const;

  private:
    LastingMemory(os::UniqueFd file, std::byte* memory) : file_(std::move(file)), memory_(memory) {}

    os::UniqueFd file_;
    std::byte* memory_;
};

}  // namespace ringd
