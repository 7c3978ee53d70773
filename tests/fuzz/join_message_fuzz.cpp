// Whatever decodes must encode to the same bytes: one wire form for each join message, and no
// crash.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/totem/join_message.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto packet = std::as_bytes(std::span(data, size));
    const auto value = totem::decode_join(packet);
    if (!value) return 0;
    fuzz::accepted = true;
    const base::Buffer again = totem::encode_join(*value);
    INVARIANT(std::ranges::equal(packet, again.bytes()));
    return 0;
}
