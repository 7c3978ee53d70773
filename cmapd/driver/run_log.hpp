// What was stored of the node's run since its database last took it: a file in the run folder
// (memory), mapped, to which each commit is added by copying. That is all a kill leaves to do: what
// a process wrote to a shared mapping is there when it is gone. It is no place for what must
// outlive the host.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "common/os/error.hpp"

namespace cmapd {

class RunLog {
  public:
    // About 500 changes of small keys, which the database takes in some milliseconds.
    static constexpr std::size_t kBytes = std::size_t{64} << 10u;

    // Opens or makes it, with all its memory: no later write can fail. Another version's is begun
    // anew.
    static os::Result<RunLog> open(const std::string& path);

    RunLog(RunLog&& other) noexcept;
    RunLog& operator=(RunLog&& other) noexcept;
    RunLog(const RunLog&) = delete;
    RunLog& operator=(const RunLog&) = delete;
    ~RunLog();

    // One record, of 1 byte or more; it is there completely or not at all. False: there is no room.
    [[nodiscard]] bool append(std::span<const std::byte> record);
    // In the order in which they were added. The span lives until the log is changed.
    void each(const std::function<void(std::span<const std::byte>)>& take) const;
    [[nodiscard]] bool is_empty() const;
    void clear();

  private:
    explicit RunLog(std::byte* memory) : memory_(memory) {}
    [[nodiscard]] std::size_t length_at(std::size_t at) const;
    void set_length(std::size_t at, std::size_t length);

    std::byte* memory_ = nullptr;  // kBytes, mapped.
    std::size_t end_ = 0;          // Where the next record begins.
};

}  // namespace cmapd
