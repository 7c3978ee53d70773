// Any bytes as the replica's part of the database: no crash, and what decodes encodes to the same
// bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cmapd/core/record.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const base::Buffer input = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    const auto decoded = cmap::decode_replica(input);
    if (!decoded) return 0;
    fuzz::accepted = true;
    const base::Buffer again = cmap::encode_replica(*decoded);
    INVARIANT(std::ranges::equal(again.bytes(), input.bytes()));
    return 0;
}
