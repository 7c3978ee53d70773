// Any bytes from a peer, cut anywhere: no crash, no memory beyond the limits, and the same messages
// as when they come in one piece. The first byte chooses the side and where the stream is cut.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/invariant.hpp"
#include "common/zmtp/incoming.hpp"

namespace {

constexpr std::size_t kReadBytes = 256;
constexpr std::size_t kMessageBytesMax = 4096;

struct Result {
    std::vector<base::Buffer> messages;
    bool failed = false;
};

Result read(zmtp::Side side, std::span<const std::byte> stream, std::size_t step) {
    zmtp::Incoming incoming(side, kReadBytes, kMessageBytesMax);
    Result result;
    for (;;) {
        base::Buffer body;
        const auto found = incoming.next(body);
        if (!found) {
            result.failed = true;
            return result;
        }
        if (*found == zmtp::Incoming::Found::Message) result.messages.push_back(body);
        if (*found != zmtp::Incoming::Found::Nothing) continue;
        if (stream.empty()) return result;
        const auto room = incoming.room();
        INVARIANT(!room.empty());
        const std::size_t size = std::min({room.size(), stream.size(), step});
        std::ranges::copy(stream.first(size), room.begin());
        incoming.filled(size);
        stream = stream.subspan(size);
    }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto side = (data[0] & 1u) != 0 ? zmtp::Side::Connecting : zmtp::Side::Listening;
    const std::size_t step = data[0] / 2 + 1u;
    const auto stream = std::as_bytes(std::span(data, size)).subspan(1);
    const Result whole = read(side, stream, SIZE_MAX);
    const Result cut = read(side, stream, step);
    INVARIANT(whole.failed == cut.failed);
    INVARIANT(whole.messages.size() == cut.messages.size());
    for (std::size_t i = 0; i < whole.messages.size(); ++i) {
        INVARIANT(std::ranges::equal(whole.messages[i].bytes(), cut.messages[i].bytes()));
    }
    return 0;
}
