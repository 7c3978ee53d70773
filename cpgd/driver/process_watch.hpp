// Says when a process has ended that has no connection any more, so that its sessions need not wait
// for it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "common/os/event_loop.hpp"
#include "common/os/unique_fd.hpp"

namespace cpgd {

class ProcessWatch {
  public:
    ProcessWatch(os::EventLoop& loop, std::function<void(std::uint32_t pid)> ended)
        : loop_(loop), ended_(std::move(ended)) {}
    ~ProcessWatch();
    ProcessWatch(const ProcessWatch&) = delete;
    ProcessWatch& operator=(const ProcessWatch&) = delete;

    // Tells in a later turn, once, when the process has ended or is not there. A pid of 0 (of a
    // namespace that we don't see) is never told.
    void watch(std::uint32_t pid);

  private:
    os::EventLoop& loop_;
    std::function<void(std::uint32_t)> ended_;
    std::map<std::uint32_t, os::UniqueFd> watched_;
};

}  // namespace cpgd
