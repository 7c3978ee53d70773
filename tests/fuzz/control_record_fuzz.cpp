// Any bytes as what cmapd on another node says about control: no crash, and what decodes encodes to
// the same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cmapd/core/control_record.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const base::Buffer input = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    const auto record = cmapd::decode_control(input);
    if (!record) return 0;
    fuzz::accepted = true;
    const base::Buffer again = cmapd::encode_control(*record);
    INVARIANT(std::ranges::equal(again.bytes(), input.bytes()));
    return 0;
}
