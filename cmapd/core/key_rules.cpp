#include "cmapd/core/key_rules.hpp"

#include <algorithm>
#include <array>

namespace cmap {
namespace {

constexpr std::array<std::string_view, 7> kReadOnlyPrefixes{
    "internal_configuration.", "runtime.services.", "runtime.config.", "runtime.totem.",
    "uidgid.config.",          "system.",           "nodelist."};

constexpr std::array<std::string_view, 24> kReadOnlyKeys{"totem.crypto_cipher",
                                                         "totem.crypto_hash",
                                                         "totem.crypto_model",
                                                         "totem.keyfile",
                                                         "totem.key",
                                                         "totem.secauth",
                                                         "totem.ip_version",
                                                         "totem.ip_dscp",
                                                         "totem.transport",
                                                         "totem.cluster_name",
                                                         "totem.netmtu",
                                                         "totem.threads",
                                                         "totem.version",
                                                         "totem.nodeid",
                                                         "totem.clear_node_high_bit",
                                                         "config.reload_in_progress",
                                                         "config.totemconfig_reload_in_progress",
                                                         "quorum.allow_downscale",
                                                         "quorum.wait_for_all",
                                                         "quorum.last_man_standing",
                                                         "quorum.last_man_standing_window",
                                                         "quorum.expected_votes_tracking",
                                                         "quorum.auto_tie_breaker",
                                                         "quorum.auto_tie_breaker_node"};

}  // namespace

Place place_of(std::string_view key) {
    if (key.starts_with("cluster.")) return Place::Cluster;
    if (key.starts_with("local.")) return Place::Local;
    return Place::RunTime;
}

bool is_read_only(std::string_view key) {
    const auto begins = [&](std::string_view prefix) { return key.starts_with(prefix); };
    return std::ranges::any_of(kReadOnlyPrefixes, begins) ||
           std::ranges::find(kReadOnlyKeys, key) != kReadOnlyKeys.end();
}

}  // namespace cmap
