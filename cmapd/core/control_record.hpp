// What cluster control multicasts on the channel, and its bytes (docs/wire-format-cfg.md). Other
// nodes' words are decoded by functions that take any input.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "cmapd/core/reload.hpp"
#include "common/base/buffer.hpp"
#include "common/base/result.hpp"
#include "common/protocol/ring_api.hpp"

namespace cmapd {

// Each member once in every view: how it is configured.
struct Greeting {
    std::uint64_t config_version = 0;
    std::uint64_t digest = 0;  // Of config::cluster_wide().
};
// The node ends, wherever the ring delivers this.
struct KillNode {
    base::NodeId node{};
    std::string reason;
};
using ControlRecord =
    std::variant<Greeting, KillNode, ReloadBegin, ReloadReady, ReloadRefused, ReloadGiveUp>;

inline constexpr std::size_t kReasonBytesMax = 255;
inline constexpr std::size_t kLinesMax = 16384;  // Keys of 512 nodes with 8 links, and the rest.
inline constexpr std::size_t kLineBytesMax = 1024;
inline constexpr std::size_t kWhyBytesMax = 8192;

// The first byte of each. Other records on the channel have others.
enum class ControlType : std::uint8_t {
    Greeting = 0xc1,
    KillNode = 0xc2,
    ReloadBegin = 0xc3,
    ReloadReady = 0xc4,
    ReloadRefused = 0xc5,
    ReloadGiveUp = 0xc6
};
[[nodiscard]] bool is_control_record(const base::Buffer& bytes);

[[nodiscard]] base::Expected<ControlRecord, protocol::FrameError> decode_control(
    const base::Buffer& bytes);
// Texts that are too long are cut.
[[nodiscard]] base::Buffer encode_control(const ControlRecord& record);

// FNV-1a over the lines: nodes compare whether they are configured alike; not against an attacker.
[[nodiscard]] std::uint64_t digest_of(const std::vector<std::string>& lines);

}  // namespace cmapd
