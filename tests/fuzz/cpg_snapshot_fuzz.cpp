// Any bytes as the state of a former cpgd: no crash, and what restores is a core that can go on.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cpgd/core/core.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const base::Buffer input = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    auto core = cpg::Core::restore({}, input, {}, 1);
    if (!core) return 0;
    fuzz::accepted = true;
    (void)core->status();
    std::vector<cpg::Action> actions;
    core->step({}, cpg::RingAttached{.self = base::NodeId{1}, .resumed = true, .incarnation = {}},
               actions);
    core->flush({}, std::size_t{1} << 20u, actions);
    return 0;
}
