// The bytes of ZMTP 3.1 that are no message: greeting, READY, PING, PONG, ERROR and the head of
// each frame. Pure. Source: ZeroMQ RFC 37/ZMTP 3.1; section names below are the RFC's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/result.hpp"

namespace zmtp {

enum class Side : std::uint8_t { Listening, Connecting };

enum class WireError : std::uint8_t {
    NotZmtp,       // No ZMTP signature.
    Version,       // Older than 3.0: such a peer sends no metadata, so we don't know what it is.
    Mechanism,     // Another security mechanism than NULL.
    Flags,         // Reserved bits of a frame are set.
    SeveralParts,  // Our messages have one part.
    TooLong,       // More than the limit of a message or command.
    Command,       // A command that breaks its own layout, or one that is not due.
    SocketType,    // Not a DEALER at the listening side, not a ROUTER at the other.
};
// For people, and for the ERROR command that tells the peer.
[[nodiscard]] const char* text(WireError error);

inline constexpr std::size_t kGreetingBytes = 64;
inline constexpr std::size_t kFrameHeadBytesMax = 9;
inline constexpr std::size_t kCommandBytesMax =
    4096;                                           // READY with all its properties is below 512.
inline constexpr std::size_t kPingContextMax = 16;  // RFC, "ping".

[[nodiscard]] std::array<std::byte, kGreetingBytes> encode_greeting();
// Checks as much of a greeting as `bytes` hold, so that a stranger is refused at its first byte.
[[nodiscard]] base::Expected<void, WireError> check_greeting(std::span<const std::byte> bytes);

// What stands in front of a message or command.
struct FrameHead {
    bool is_command = false;
    std::size_t head_bytes = 0;
    std::size_t body_bytes = 0;
};
// Nothing: more bytes are needed. A body above `message_bytes_max` (or kCommandBytesMax) fails
// here, before memory is reserved for it.
[[nodiscard]] base::Expected<std::optional<FrameHead>, WireError> decode_frame_head(
    std::span<const std::byte> bytes, std::size_t message_bytes_max);
// Writes the head of a message and gives its length. Needs kFrameHeadBytesMax bytes of room.
[[nodiscard]] std::size_t encode_message_head(std::size_t body_bytes, std::byte* out);
// The same in the form that any length has, so that it can be put right when more is added.
void encode_long_message_head(std::size_t body_bytes, std::span<std::byte, kFrameHeadBytesMax> out);

// Commands, whole with their frame heads.
// `features`: bits that the programs at both ends give a meaning, so that builds of different age
// find out what the other one takes. In a property of ours, that others skip; 0: without it.
[[nodiscard]] std::vector<std::byte> encode_ready(Side self, std::uint32_t features = 0);
[[nodiscard]] std::vector<std::byte> encode_pong(std::span<const std::byte> context);
[[nodiscard]] std::vector<std::byte> encode_error(std::string_view reason);

struct Ready {
    std::uint32_t features = 0;
};
struct Ping {
    std::span<const std::byte> context;  // As long as the bytes it was decoded from.
};
struct Error {
    std::string reason;
};
struct Other {};  // A command that we don't know or need: RFC says to ignore it.
using Command = std::variant<Ready, Ping, Error, Other>;

// `body`: without the frame's head. `self`: which peer is expected.
[[nodiscard]] base::Expected<Command, WireError> decode_command(std::span<const std::byte> body,
                                                                Side self);

}  // namespace zmtp
