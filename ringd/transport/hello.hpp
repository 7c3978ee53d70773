// The one message of the handshake, by which a node proves that it is alive now.
//
// A receiver can't know whether packets of a life that it has never seen are being sent or are a
// recording. So it challenges: whoever sends its present random number back, in an authentic
// packet, is alive now, and the life that sealed that packet is the present one.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "common/base/ids.hpp"

namespace transport {

using Challenge = std::array<std::byte, 16>;

struct Hello {
    base::NodeId recipient{};
    bool wants_answer = false;  // The recipient's present life is not proven to the sender.
    Challenge challenge{};      // The sender's for the recipient; never zero.
    Challenge echo{};           // The last one that the sender got from the recipient; or zero.

    friend bool operator==(const Hello&, const Hello&) = default;
};

inline constexpr std::size_t kHelloBytes = 40;

// Nothing: the bytes are no hello.
[[nodiscard]] std::optional<Hello> decode_hello(std::span<const std::byte> bytes);

void encode_hello(const Hello& hello, std::span<std::byte, kHelloBytes> out);

}  // namespace transport
