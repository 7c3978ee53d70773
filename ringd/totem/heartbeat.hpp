// The heartbeat: a sign of life on one link, whom its sender hears, and an echo that measures the
// round trip. Apart from the token, so that a slow ring is not taken for dead nodes.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "common/base/buffer.hpp"
#include "ringd/totem/row.hpp"
#include "ringd/totem/wire.hpp"

namespace totem {

inline constexpr std::uint16_t kPromiseMax = 0x7fff;
inline constexpr std::chrono::milliseconds kPromiseUnit{10};

struct Heartbeat {
    bool reply_wanted = false;  // Answer at once: the sender doubts or has not heard us yet.
    // In which time the sender beats again, in kPromiseUnit; 0: at its usual interval. Only to
    // members of a ring that has kFeatureRareHeartbeats.
    std::uint16_t promise = 0;
    base::RingId ring{};        // In force at the sender, or last in force.
    Row row{};                  // The sender's own.
    std::uint64_t sent_ns = 0;  // By the sender's clock; comes back in an echo. Not 0.
    // Of the last heartbeat that came in on this link: its sent_ns, and how long ago that was.
    // 0 and 0: none yet.
    std::uint64_t echo_ns = 0;
    std::uint64_t echo_age_ns = 0;

    friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

[[nodiscard]] base::Expected<Heartbeat, WireError> decode_heartbeat(
    std::span<const std::byte> packet);
[[nodiscard]] base::Buffer encode_heartbeat(const Heartbeat& heartbeat);

}  // namespace totem
