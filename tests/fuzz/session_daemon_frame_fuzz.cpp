// Any bytes as a frame of a session that a daemon sends: no crash, and what decodes encodes to the
// same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/protocol/session_api.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const base::Buffer input = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    const auto frame = protocol::session::decode_daemon_frame(input);
    if (!frame) return 0;
    fuzz::accepted = true;
    const base::Buffer again = protocol::session::encode(*frame);
    INVARIANT(std::ranges::equal(again.bytes(), input.bytes()));
    return 0;
}
