// Memory of a daemon that this process reads: a descriptor that came over its socket, mapped.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "common/os/unique_fd.hpp"

namespace client {

// Not in a child: it has no use for the session, and what lies here changes.
class SharedArea {
  public:
    // Nothing: it is no file that keeps its size, or there is no memory to map it.
    [[nodiscard]] static std::optional<SharedArea> map(const os::UniqueFd& file);
    SharedArea(SharedArea&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    SharedArea& operator=(SharedArea&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    SharedArea(const SharedArea&) = delete;
    SharedArea& operator=(const SharedArea&) = delete;
    ~SharedArea();

    // Nothing: they are not all in it. Valid as long as this, and while the daemon leaves them.
    [[nodiscard]] std::optional<std::span<const std::byte>> bytes(std::size_t offset,
                                                                  std::size_t length) const {
        if (offset > bytes_.size() || length > bytes_.size() - offset) return std::nullopt;
        return bytes_.subspan(offset, length);
    }

  private:
    explicit SharedArea(std::span<const std::byte> bytes) : bytes_(bytes) {}

    std::span<const std::byte> bytes_;
};

}  // namespace client
