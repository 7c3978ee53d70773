// Any bytes as what a former quorumd kept, in memory or durably: no crash, and what restores is a
// core that can go on.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quorumd/core/core.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const base::Buffer input = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    quorum::Config config;
    config.options.rules.last_man_standing = true;
    config.tracks_expected_votes = true;
    const quorum::Core durable(config, 1, input);
    (void)durable.status({});
    auto core = quorum::Core::restore(config, input, 1);
    if (!core) return 0;
    fuzz::accepted = true;
    std::vector<quorum::Action> actions;
    const base::Instant now{std::chrono::hours{1}};
    core->step(now,
               quorum::RingAttached{.self = base::NodeId{1}, .resumed = true, .incarnation = {}},
               actions);
    (void)core->status(now);
    (void)core->next_deadline();
    return 0;
}
