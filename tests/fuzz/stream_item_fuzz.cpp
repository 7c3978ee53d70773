// Whatever decodes must encode to the same bytes: one wire form for each item of the stream, and no
// crash. Items come authenticated, but from a ringd that may be of another version or broken.
#include <algorithm>
#include <span>
#include <variant>

#include "common/base/invariant.hpp"
#include "ringd/stream/item.hpp"
#include "tests/fuzz/accepted.hpp"

namespace {

// A Submit goes round as its service's frame.
base::Buffer encode(const protocol::Submit& submit) {
    return protocol::encode(protocol::ServiceFrame{submit});
}
base::Buffer encode(const auto& own) {
    return stream::encode_item(own);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const base::Buffer bytes = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    const auto item = stream::decode_item(bytes);
    if (!item) return 0;
    fuzz::accepted = true;

    const base::Buffer again = std::visit([](const auto& of) { return encode(of); }, *item);
    INVARIANT(std::ranges::equal(bytes.bytes(), again.bytes()));
    return 0;
}
