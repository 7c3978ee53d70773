// Any bytes as a batch of another node's cpgd: no crash, and what decodes is encoded as we would,
// which is read as the same again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/invariant.hpp"
#include "cpgd/core/record.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const base::Buffer input = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    const auto batch = cpg::decode_batch(input);
    if (!batch) return 0;
    fuzz::accepted = true;
    const base::Buffer ours = cpg::encode_batch(*batch);
    const auto again = cpg::decode_batch(ours);
    INVARIANT(again.has_value());
    INVARIANT(std::ranges::equal(cpg::encode_batch(*again).bytes(), ours.bytes()));
    return 0;
}
