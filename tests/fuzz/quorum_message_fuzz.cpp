// Any bytes as a message of another node's quorumd: no crash, and what decodes encodes to the same
// bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/invariant.hpp"
#include "quorumd/core/message.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const base::Buffer input = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    const auto message = quorum::decode_message(input);
    if (!message) return 0;
    fuzz::accepted = true;
    const base::Buffer again = quorum::encode_message(*message);
    INVARIANT(std::ranges::equal(again.bytes(), input.bytes()));
    return 0;
}
