#include "common/config/quorum_rules.hpp"

#include <charconv>
#include <string_view>

namespace config {
namespace {

constexpr std::size_t kListMax = 1024;  // As many as nodes can be.

// lowest, highest, or ids with anything that is no digit between them.
quorum::TieBreaker breaker_of(std::string_view text) {
    if (text == "lowest") return quorum::LowestNode{};
    if (text == "highest") return quorum::HighestNode{};
    quorum::FirstOf list;
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    while (at != end && list.nodes.size() < kListMax) {
        std::uint32_t node = 0;
        const auto [next, error] = std::from_chars(at, end, node);
        if (error == std::errc{}) list.nodes.push_back(base::NodeId{node});
        at = next == at ? at + 1 : next;
    }
    return list;
}

}  // namespace

quorum::Rules rules_of(const Quorum& configured) {
    quorum::Rules rules;
    rules.two_node = configured.two_node;
    rules.wait_for_all = configured.wait_for_all;
    rules.last_man_standing = configured.last_man_standing;
    rules.allow_downscale = configured.allow_downscale;
    if (configured.auto_tie_breaker)
        rules.tie_breaker = breaker_of(configured.auto_tie_breaker_node);
    return rules;
}

}  // namespace config
