// What the workload sends: bytes that say which message they are and prove that they are whole.
#pragma once

#include <cstddef>
#include <optional>

#include "common/base/buffer.hpp"
#include "tests/sim/process.hpp"

namespace sim {

inline constexpr std::size_t kPayloadBytesMin = 16;  // The message's name.

// `size` bytes that start with the name; the rest follows from name and size. Needs: size >=
// kPayloadBytesMin.
[[nodiscard]] base::Buffer make_payload(const MessageId& message, std::size_t size);

// The name, or nothing if these are not all and only the bytes that make_payload gave.
[[nodiscard]] std::optional<MessageId> read_payload(const base::Buffer& payload);

}  // namespace sim
