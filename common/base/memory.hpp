// Where the memory of buffers comes from, for who is told by its owner and need not know.
#pragma once

#include <cstddef>

#include "common/base/buffer.hpp"

namespace base {

// Outlives nothing that it gave: that lives as long as it has owners.
class Memory {
  public:
    [[nodiscard]] virtual MutableBuffer allocate(std::size_t bytes) = 0;

  protected:
    Memory() = default;
    Memory(const Memory&) = default;
    Memory& operator=(const Memory&) = default;
    ~Memory() = default;
};

}  // namespace base
