// Whatever decodes encodes to bytes that decode to the same, and nothing crashes: an input of
// ringd's journal.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/resume/input.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto input = resume::decode_input(bytes);
    if (!input) return 0;
    fuzz::accepted = true;
    base::ArchiveWriter again;
    resume::encode_input(*input, again);
    const auto decoded = resume::decode_input(again.bytes());
    INVARIANT(decoded.has_value());
    base::ArchiveWriter last;
    resume::encode_input(*decoded, last);
    INVARIANT(last.bytes() == again.bytes());
    return 0;
}
