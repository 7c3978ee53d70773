// Memory that two processes have: one makes it and writes, the other maps what came over a socket
// and reads. docs/wire-format-local.md, *Areas*.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"

namespace os {

// A range that is mapped, and is not any more with the end of this.
class Mapping {
  public:
    explicit Mapping(std::span<std::byte> bytes) : bytes_(bytes) {}
    Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping();

    [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

  private:
    std::span<std::byte> bytes_;
};

// Made here. Whoever holds the descriptor can neither write to it nor change its size, so who never
// reads from it need not care what the other side does with it. It is in no dump.
class SharedMemory {
  public:
    // `name` is for people (/proc/PID/maps). Needs: whole pages.
    [[nodiscard]] static Result<SharedMemory> create(const char* name, std::size_t bytes);

    // For the other side. It lasts as long as anybody has it.
    [[nodiscard]] UniqueFd take_descriptor() { return std::move(file_); }

    [[nodiscard]] std::span<std::byte> bytes() const { return mapping_.bytes(); }
    // Its pages up to `end` are to be written: they are made ready many at once.
    void prepare(std::size_t end);

  private:
    SharedMemory(UniqueFd file, Mapping mapping)
        : file_(std::move(file)), mapping_(std::move(mapping)) {}

    UniqueFd file_;
    Mapping mapping_;
    std::size_t prepared_bytes_ = 0;  // From the beginning.
};

// Of another process, which goes on to write to it: a byte that was read may be another one when it
// is read again. Not in a child: it has no use for it.
class ForeignMemory {
  public:
    // Nothing: it is no file that keeps its size, or there is no memory to map it.
    [[nodiscard]] static std::optional<ForeignMemory> map(const UniqueFd& file);

    // Nothing: they are not all in it. Valid as long as this.
    [[nodiscard]] std::optional<std::span<const std::byte>> bytes(std::size_t offset,
                                                                  std::size_t length) const {
        const std::span<const std::byte> all = mapping_.bytes();
        if (offset > all.size() || length > all.size() - offset) return std::nullopt;
        return all.subspan(offset, length);
    }

  private:
    explicit ForeignMemory(Mapping mapping) : mapping_(std::move(mapping)) {}

    Mapping mapping_;
};

}  // namespace os
