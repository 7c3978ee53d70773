// What the worker tells its supervisor over the socket between them. Both are this library in one
// program: the layout is nobody else's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/os/unique_fd.hpp"

namespace sam {

enum class Command : std::uint32_t {
    Healthy,    // No answer, and so is Unhealthy.
    Unhealthy,  // The callback said so.
    Start,
    Stop,
    Finalize,
    WarnSignal,  // `value` is the signal.
    StoreData,   // `value` bytes follow.
    MarkFailed,
};

struct Message {
    Command command = Command::Healthy;
    std::uint32_t reserved = 0;
    std::uint64_t value = 0;
};

[[nodiscard]] constexpr bool has_answer(Command command) {
    return command != Command::Healthy && command != Command::Unhealthy;
}

// All of it, or false: the other end is gone.
[[nodiscard]] bool send_all(int fd, const void* bytes, std::size_t size);
[[nodiscard]] bool receive_all(int fd, void* bytes, std::size_t size);

struct Ends {
    os::UniqueFd worker;
    os::UniqueFd supervisor;
};
// Nothing: no descriptors; errno.
[[nodiscard]] std::optional<Ends> connected_ends();

}  // namespace sam
