// Large control messages (a join or a commit token of hundreds of nodes, a message of an old ring
// whose packets were larger) in parts that fit the path.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/buffer.hpp"
#include "ringd/totem/wire.hpp"

namespace totem {

inline constexpr std::size_t kPartHeaderBytes = 12;
// A commit token of kNodesMax members that all hold the worst-case bitmap.
inline constexpr std::size_t kAssembledBytesMax = std::size_t{2} << 20u;
inline constexpr std::uint16_t kPartsMax = 8192;
// No path carries less: 576 bytes of IPv4 without headers and authentication.
inline constexpr std::size_t kPartedPacketBytesMin = 480;
static_assert(kAssembledBytesMax / (kPartedPacketBytesMin - kPartHeaderBytes) < kPartsMax);

// A part of the message that the sender numbered `id`.
struct Part {
    std::uint32_t id = 0;
    std::uint16_t index = 0;
    std::uint16_t count = 0;  // At least 2: what fits one packet travels as it is.
    base::Buffer payload;     // Not empty.
};

[[nodiscard]] base::Expected<Part, WireError> decode_part(const base::Buffer& packet);
[[nodiscard]] base::Buffer encode_part(const Part& part);

// Appends `message` to `out` as it is if it fits, else cut. Needs: at most kAssembledBytesMax
// bytes, and packets of at least kPartedPacketBytesMin.
void split_into_parts(const base::Buffer& message, std::uint32_t id, std::size_t packet_bytes_max,
                      std::vector<base::Buffer>& out);

// Puts together what one peer sent. Only one message is under way: a part of another one drops it,
// for its sender repeats what matters.
class PartAssembly {
  public:
    // The whole message when `part` completes it.
    [[nodiscard]] std::optional<base::Buffer> add(const Part& part);

    template <class A>
    void archive(A& a) {
        a(id_, missing_, bytes_, parts_);
    }

  private:
    std::uint32_t id_ = 0;
    std::uint16_t missing_ = 0;
    std::size_t bytes_ = 0;
    std::vector<base::Buffer> parts_;
};

}  // namespace totem
