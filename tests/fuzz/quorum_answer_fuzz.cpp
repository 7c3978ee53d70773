// Any bytes as a frame between quorumd and a client: no crash, and what decodes encodes to the same
// bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/invariant.hpp"
#include "common/protocol/quorum_api.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const base::Buffer input = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    const auto answer = protocol::quorum::decode_answer(input);
    if (!answer) return 0;
    fuzz::accepted = true;
    const base::Buffer again = protocol::quorum::encode(*answer);
    INVARIANT(std::ranges::equal(again.bytes(), input.bytes()));
    return 0;
}
