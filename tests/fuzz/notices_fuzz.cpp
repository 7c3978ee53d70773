// Whatever decodes must encode to the same bytes: one wire form for each notice, and no crash.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/totem/notices.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto packet = std::as_bytes(std::span(data, size));
    if (const auto request = totem::decode_token_request(packet)) {
        fuzz::accepted = true;
        INVARIANT(std::ranges::equal(packet, totem::encode_token_request(*request).bytes()));
    }
    if (const auto seen = totem::decode_token_seen(packet)) {
        fuzz::accepted = true;
        INVARIANT(std::ranges::equal(packet, totem::encode_token_seen(*seen).bytes()));
    }
    if (const auto leave = totem::decode_leave(packet)) {
        fuzz::accepted = true;
        INVARIANT(std::ranges::equal(packet, totem::encode_leave(*leave).bytes()));
    }
    return 0;
}
