// Parts in any order and number: what they assemble to is as large as they were.
#include <algorithm>

#include "common/base/invariant.hpp"
#include "ringd/totem/parts.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto packet = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    auto part = totem::decode_part(packet);
    if (!part) return 0;
    fuzz::accepted = true;
    INVARIANT(std::ranges::equal(packet.bytes(), totem::encode_part(*part).bytes()));

    totem::PartAssembly assembly;
    for (std::uint16_t i = 0; i < part->count; ++i) {
        part->index = i;
        const auto whole = assembly.add(*part);
        if (whole) INVARIANT(whole->size() == part->payload.size() * part->count);
    }
    return 0;
}
