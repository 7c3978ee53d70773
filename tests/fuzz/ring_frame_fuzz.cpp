// Whatever decodes must encode to the same bytes: one wire form for each frame, and no crash.
#include <algorithm>
#include <span>

#include "common/base/invariant.hpp"
#include "common/protocol/ring_api.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const base::Buffer bytes = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    const auto frame = protocol::decode_ring_frame(bytes);
    if (!frame) return 0;
    fuzz::accepted = true;

    const base::Buffer again = protocol::encode(*frame);
    INVARIANT(std::ranges::equal(bytes.bytes(), again.bytes()));
    return 0;
}
